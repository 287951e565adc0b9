"""Memory that PyTorch gives to cuBLAS: one piece for each thread that calls it, from the first call on.

The sizes are those of aten/src/ATen/cuda/CublasHandlePool.cpp (torch 2.13, parseChosenWorkspaceSize), unless
CUBLAS_WORKSPACE_CONFIG says otherwise. The products with a bias of cuBLASLt share it.
"""

from steelyard.hw.allocators.context import Version
from steelyard.hw.base.units import KIB, MIB
from steelyard.hw.devices.device import Device

_FIRST_VERSION: Version = (11, 0)
"""Before that, cuBLAS asks the driver itself."""
_LARGE = ("9.", "10.", "12.")


def cublas_workspace_bytes(device: Device, cuda: Version | None = None) -> int:
    """Return the bytes for one thread: 32 MiB from Hopper on, 8.125 MiB before, none elsewhere.

    Args:
        device: The device.
        cuda: The version of CUDA; None for a new one.
    """
    capability = device.compute_capability
    if capability is None or (cuda and cuda < _FIRST_VERSION):
        return 0
    return 32 * MIB if capability.startswith(_LARGE) else 2 * 4 * MIB + 8 * 16 * KIB
