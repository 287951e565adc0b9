"""Higher-order operators (`torch.cond`, `scan`, `map`, `while_loop`, `flex_attention`) as plain Python.

Eager torch traces the functions that they take and calls a kernel; here the functions run as they are, so
that their ops, and those of the backward, are dispatched one by one. Relies on private parts of torch (2.13).
"""

# pyright: standard

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch._C import DispatchKey
from torch.utils._pytree import tree_map

from steelyard.compiler.frontend.adapt.assumptions import assume

_FLEX = "torch.nn.attention.flex_attention"


@contextmanager
def as_python() -> Iterator[None]:
    """Run higher-order operators as plain Python under autograd."""
    with ExitStack() as stack:
        for module, name, kernel in (
            ("cond", "cond_op", _cond),
            ("map", "map_impl", _map),
            ("scan", "scan_op", _scan),
            ("while_loop", "while_loop_op", _while_loop),
            ("flex_attention", "flex_attention", _flex_attention),
        ):
            operator = getattr(sys.modules[f"torch._higher_order_ops.{module}"], name)
            stack.enter_context(patch.dict(operator.py_kernels, {DispatchKey.Autograd: kernel}))
            stack.enter_context(patch.dict(operator._dispatch_cache, clear=True))
        yield


@contextmanager
def flex_attention_trains() -> Iterator[None]:
    """Let `flex_attention` have a gradient on the CPU, for which it has no kernel of its own."""
    if _FLEX not in sys.modules:
        yield
        return
    with patch.object(sys.modules[_FLEX], "_validate_device", lambda *tensors: None):
        yield


def _cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Sequence[Any]
) -> Any:
    """Both branches, one of whose results is taken."""
    assume("both branches of torch.cond are weighed, of which a run takes one")

    def choose(first: Any, second: Any) -> Any:
        return torch.where(pred, first, second) if isinstance(first, torch.Tensor) else first

    return tree_map(choose, true_fn(*operands), false_fn(*operands))


def _while_loop(
    cond_fn: Callable[..., Any],
    body_fn: Callable[..., Any],
    carried: Sequence[Any],
    additional: Sequence[Any],
    **_: Any,
) -> Any:
    while cond_fn(*carried, *additional):
        carried = body_fn(*carried, *additional)
    return tuple(carried)


def _map(f: Callable[..., Any], xs: Sequence[torch.Tensor], others: Sequence[Any], **_: Any) -> Any:
    results = [f(*slices, *others) for slices in zip(*xs, strict=True)]
    return tree_map(lambda *each: torch.stack(each), *results)


def _scan(
    combine_fn: Callable[..., Any],
    init: Sequence[torch.Tensor],
    xs: Sequence[torch.Tensor],
    additional: Sequence[Any] = (),
) -> list[torch.Tensor]:
    carry, results = list(init), []
    for slices in zip(*xs, strict=True):
        carried = list(combine_fn(*carry, *slices, *additional))
        carry = carried[: len(init)]
        results.append(carried[len(init) :])
    return [*carry, *(torch.stack(each) for each in zip(*results, strict=True))]


def _flex_attention(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assume("flex_attention is weighed as it runs without torch.compile: all scores in memory")
    return sys.modules["torch._higher_order_ops.flex_attention"].sdpa_dense(*args, **kwargs)
