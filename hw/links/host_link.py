"""Copy time between a device and host memory."""

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.device import Device
from steelyard.hw.links.collective import PCIE_FRACTION

_START_S = 5.7e-6
"""Latency of a copy of no bytes: NCCL's latency of a step over PCIe, src/graph/tuning.cc at 01afd20."""


def host_copy_s(device: Device, num_bytes: int) -> float:
    """Seconds of one copy, from or to pinned memory; both directions can run at once.

    Copies reach NCCL's fraction of the link's rate for PCIe, 12 of 15.75 GB/s.

    Raises:
        DeviceError: The device's file gives no link to the host.
    """
    link = device.host_bandwidth_bytes_per_s
    if link is None:
        shares = device.kind == "cpu"
        raise DeviceError(
            what=f"device {device.name!r} has no link to a host",
            why="its memory is the host's" if shares else "its file does not give the one-way rate",
            fix="name a GPU" if shares else "add host_bandwidth_bytes_per_s to a copy of its file",
        )
    return _START_S + num_bytes / (link.value * PCIE_FRACTION)
