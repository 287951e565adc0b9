# pyright: standard
"""What the ops of `host` run on a CPU: copies to and from memory that torch does not count."""

from typing import NamedTuple

import numpy as np
import torch


class HostCopy(NamedTuple):
    """A tensor's storage, in memory that is none of torch's allocators', and how the tensor lies in it."""

    content: np.ndarray
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]

    def clone(self) -> "HostCopy":
        """A copy of its own, on the host too."""
        return self._replace(content=self.content.copy())


def to_host(tensor: torch.Tensor) -> HostCopy:
    """Copy a tensor that has its storage to itself.

    On a CPU the copy is made at once, since its memory is the host's: what it shows is that the program still
    computes the same in less of the memory that torch allocates, not how long copies take.
    """
    content = np.empty(tensor.untyped_storage().nbytes(), np.uint8)
    kept = HostCopy(content, tensor.dtype, tensor.shape, tensor.stride())
    store_on_host(tensor, kept)
    return kept


def store_on_host(tensor: torch.Tensor, kept: HostCopy) -> None:
    """Overwrite what is on the host, in place."""
    _as_tensor(torch.from_numpy(kept.content), kept).copy_(tensor)


def from_host(kept: HostCopy) -> torch.Tensor:
    """A new tensor that is what was copied, laid out the same."""
    storage = torch.empty(len(kept.content), dtype=torch.uint8)
    storage.copy_(torch.from_numpy(kept.content))
    return _as_tensor(storage, kept)


def _as_tensor(storage: torch.Tensor, kept: HostCopy) -> torch.Tensor:
    return storage.view(kept.dtype).as_strided(kept.shape, kept.stride)
