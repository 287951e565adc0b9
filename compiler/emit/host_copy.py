# pyright: standard
"""CPU implementation of the `host` dialect's ops: copies to and from memory outside torch's allocators."""

from typing import NamedTuple

import numpy as np
import torch


class HostCopy(NamedTuple):
    """A tensor's storage in memory outside torch's allocators, with the tensor's dtype, shape and strides."""

    content: np.ndarray
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]

    def clone(self) -> "HostCopy":
        """A separate copy, also on the host."""
        return self._replace(content=self.content.copy())


def to_host(tensor: torch.Tensor) -> HostCopy:
    """Copy a tensor that is the only one in its storage to the host.

    A CPU copies synchronously, since its memory is the host's. So a run checks that results are unchanged and
    that torch allocates less; it does not show the time of copies.
    """
    content = np.empty(tensor.untyped_storage().nbytes(), np.uint8)
    kept = HostCopy(content, tensor.dtype, tensor.shape, tensor.stride())
    store_on_host(tensor, kept)
    return kept


def store_on_host(tensor: torch.Tensor, kept: HostCopy) -> None:
    """Overwrite a host copy in place."""
    _as_tensor(torch.from_numpy(kept.content), kept).copy_(tensor)


def from_host(kept: HostCopy) -> torch.Tensor:
    """Copy back into a new tensor of the same layout."""
    storage = torch.empty(len(kept.content), dtype=torch.uint8)
    storage.copy_(torch.from_numpy(kept.content))
    return _as_tensor(storage, kept)


def _as_tensor(storage: torch.Tensor, kept: HostCopy) -> torch.Tensor:
    return storage.view(kept.dtype).as_strided(kept.shape, kept.stride)
