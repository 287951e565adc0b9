"""The private parts of torch that capture relies on, checked with torch 2.11 to 2.15."""

# pyright: standard

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils.weak import WeakIdRef, WeakTensorKeyDictionary

__all__ = [
    "DATA_DEPENDENT",
    "KNOWN_ELEMENTS",
    "FakeTensor",
    "FakeTensorMode",
    "WeakIdRef",
    "WeakTensorKeyDictionary",
    "accumulated_parameter",
    "active_fake_mode",
    "backward_sequence_number",
    "bounded_fallbacks",
    "forward_sequence_number",
    "has_kernel",
    "keeping_values",
    "known_value",
    "silent_failures",
    "storage_key",
    "unset_fake_temporarily",
    "with_known_value",
]

KNOWN_ELEMENTS = 2**18
"""Size up to which a fake tensor keeps its value where that is known."""

DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException)
"""Raised by a fake tensor on access to its value."""


def forward_sequence_number() -> int:
    """Number of the autograd node that was last made, which is the one of the op being dispatched."""
    return torch.autograd._get_sequence_nr() - 1  # pyright: ignore


def backward_sequence_number() -> int | None:
    """Number of the autograd node that runs now; None outside of a backward."""
    node = torch._C._current_autograd_node()  # pyright: ignore
    return None if node is None else node._sequence_nr()


def accumulated_parameter() -> torch.Tensor | None:
    """Leaf whose gradient the autograd node that runs now accumulates; None if it does not."""
    return getattr(torch._C._current_autograd_node(), "variable", None)  # pyright: ignore


def has_kernel(operator: str, dispatch_key: str) -> bool:
    """Whether an operator has a kernel of its own for a dispatch key."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator, dispatch_key)


def storage_key(storage: torch.UntypedStorage) -> int:
    """Identity of a storage, unique among those alive."""
    return storage._cdata


@contextmanager
def silent_failures() -> Iterator[None]:
    """Keep torch from logging a traceback of what fails (ops, archives); the error is raised anyway."""
    logs = [logging.getLogger(name) for name in ("torch._subclasses.fake_tensor", "torch.export")]
    before = [log.disabled for log in logs]
    for log in logs:
        log.disabled = True
    try:
        yield
    finally:
        for log, was_disabled in zip(logs, before, strict=True):
            log.disabled = was_disabled


@contextmanager
def bounded_fallbacks(limit_bytes: int) -> Iterator[None]:
    """Keep fake modes from running an op without a meta kernel on real tensors of more than `limit_bytes`."""
    original = fake_tensor.run_fallback_kernel

    def bounded(mode: Any, func: Any, flat_args: Any, *rest: Any) -> Any:
        size_bytes = sum(t.numel() * t.itemsize for t in flat_args if isinstance(t, torch.Tensor))
        if size_bytes > limit_bytes:
            raise NotImplementedError(
                f"torch knows the results of {func} only by running it, and its inputs have {size_bytes} "
                f"bytes, more than the {limit_bytes} that a capture may allocate"
            )
        return original(mode, func, flat_args, *rest)

    fake_tensor.run_fallback_kernel = bounded
    try:
        yield
    finally:
        fake_tensor.run_fallback_kernel = original


@contextmanager
def keeping_values() -> Iterator[None]:
    """Let fake tensors of up to `KNOWN_ELEMENTS` keep known values, which torch keeps of one number alone."""
    before = fake_tensor.CONSTANT_NUMEL_LIMIT
    fake_tensor.CONSTANT_NUMEL_LIMIT = KNOWN_ELEMENTS
    try:
        yield
    finally:
        fake_tensor.CONSTANT_NUMEL_LIMIT = before


def active_fake_mode() -> FakeTensorMode | None:
    """The fake mode in which tensors are made now."""
    mode = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)  # pyright: ignore
    return mode if isinstance(mode, FakeTensorMode) else None


def known_value(tensor: torch.Tensor) -> torch.Tensor | None:
    """The value of a tensor; None for a fake one of which it is not known."""
    return tensor.constant if isinstance(tensor, FakeTensor) else tensor


def with_known_value(real: torch.Tensor) -> torch.Tensor:
    """Return a fake tensor of the active mode that knows its value; the tensor itself without a mode."""
    mode = active_fake_mode()
    if mode is None:
        return real
    return mode.fake_tensor_converter.from_real_tensor(mode, real, make_constant=True)
