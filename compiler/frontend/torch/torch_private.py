"""The private parts of torch that capture relies on, checked with torch 2.11 and 2.13."""

# pyright: standard

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
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
    "FakeTensor",
    "FakeTensorMode",
    "WeakIdRef",
    "WeakTensorKeyDictionary",
    "accumulated_parameter",
    "backward_sequence_number",
    "forward_sequence_number",
    "silent_failures",
    "storage_key",
    "unset_fake_temporarily",
]

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


def storage_key(storage: torch.UntypedStorage) -> int:
    """Identity of a storage, unique among those alive."""
    return storage._cdata


@contextmanager
def silent_failures() -> Iterator[None]:
    """Keep fake tensors from logging a traceback of each op that fails; the error itself is raised anyway."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
