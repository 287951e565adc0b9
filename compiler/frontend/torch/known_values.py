"""Values of fake tensors where they are known: integer inputs, literals, and what follows from them.

Fake tensors keep the value of a single number (their `constant`) and compute with it. Here they keep those
of small tensors, so that `input_ids == image_token`, or a list of positions, decides sizes and branches as
it does in a run.
"""

# pyright: standard

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from steelyard.compiler.frontend.adapt.assumptions import assume
from steelyard.compiler.frontend.torch.call_site import find_source
from steelyard.compiler.frontend.torch.fake_kernels import FAKE_KERNELS
from steelyard.compiler.frontend.torch.torch_private import (
    DATA_DEPENDENT,
    KNOWN_ELEMENTS,
    FakeTensor,
    known_value,
    unset_fake_temporarily,
    with_known_value,
)

_DATA_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


def keep_values(value: Any) -> Any:
    """Return real tensors as fakes of the active mode; small ones without fractions keep their values."""
    return tree_map_only(torch.Tensor, _as_fake, value)


class KnownValues(TorchDispatchMode):
    """Dispatch mode that runs each op with the values that are known."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the op."""
        return run_with_values(FAKE_KERNELS.get(func, func), func, args, kwargs or {})


def run_with_values(run: Any, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run an op on fake tensors, with known values where these decide.

    Args:
        run: Runs the op on the fake tensors.
        func: The op.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
    """
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    try:
        result = run(*args, **kwargs)
    except DATA_DEPENDENT:
        if not _is_decided(tensors):
            raise
        _assume_values(func)
        with unset_fake_temporarily():
            real_args, real_kwargs = tree_map_only(FakeTensor, _real, (tuple(args), dict(kwargs)))
            real = func(*real_args, **real_kwargs)
        all_known = all(known_value(each) is not None for each in tensors if isinstance(each, FakeTensor))
        return keep_values(real) if all_known else tree_map_only(torch.Tensor, _empty, real)
    if _depends_on_data(func, tensors):
        _assume_values(func)
    return result if tensors else _literal(func, args, kwargs, result)


def _depends_on_data(func: Any, tensors: Sequence[torch.Tensor]) -> bool:
    """Whether values decide a size or a branch; of indices, masks do and integers do not."""
    if func is torch.ops.aten.index.Tensor:
        return any(each.dtype in (torch.bool, torch.uint8) for each in tensors[1:])
    return bool(_DATA_TAGS & set(func.tags))


def _assume_values(func: Any) -> None:
    name, (source, _) = str(func).removesuffix(".default"), find_source()
    if source:
        assume(f"{name} depends on data ({source}): its values are those of the example inputs")


def _is_decided(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether all values are known that can decide a size: those of tensors without fractions."""
    indices = [each for each in tensors if not each.is_floating_point()]
    return bool(indices) and all(known_value(each) is not None for each in indices)


def _literal(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Any:
    """The result of an op that makes a tensor of numbers alone, such as `arange`."""
    if not isinstance(result, FakeTensor) or result.is_floating_point() or result.device.type != "cpu":
        return result
    if torch.Tag.nondeterministic_seeded in func.tags or result.numel() > KNOWN_ELEMENTS:
        return result
    with unset_fake_temporarily():
        real = func(*args, **kwargs)
    return with_known_value(real)


def _as_fake(tensor: torch.Tensor) -> torch.Tensor:
    if isinstance(tensor, FakeTensor):
        return tensor
    is_kept = not tensor.is_floating_point() and not tensor.is_complex() and tensor.numel() <= KNOWN_ELEMENTS
    return with_known_value(tensor) if is_kept else _empty(tensor)


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")


def _real(tensor: FakeTensor) -> torch.Tensor:
    """The value of a tensor; one number expanded to its shape where that is not known and decides nothing."""
    value = known_value(tensor)
    if value is not None:
        return value
    return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
