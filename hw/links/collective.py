"""Latency of collectives: the alpha-beta model of ring algorithms.

Every step of a ring costs a latency alpha and moves one part of the message over one link at its bandwidth.
Source of the formulas: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations
in MPICH", IJHPCA 19(1), 2005, sections 4.1 and 4.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from steelyard.hw.base.errors import DeviceError, UsageError
from steelyard.hw.base.latency import Latency, LatencyEstimate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.typical_factors import SPREAD_ANALYTIC

CollectiveKind = Literal["all_reduce", "all_gather_into_tensor", "reduce_scatter_tensor"]

# Source of the next three: NCCL, src/graph/tuning.cc at 01afd20, rings inside one node. For each protocol
# (LL, LL128, Simple) what a collective costs at once, and the part of the link's rate that it reaches; then
# what each step costs over NVLink and over PCIe.
_NCCL_PROTOCOLS = ((3.6e-6, 0.25), (10.0e-6, 0.92), (8.4e-6, 1.0))
_NVLINK_STEP_S = (0.47e-6, 1.9e-6, 3.4e-6)
_PCIE_STEP_S = (1.0e-6, 2.5e-6, 5.7e-6)
# NCCL, src/graph/topo.h: 20.0, 20.6 and 40.1 of the 25, 25 and 50 GB/s of a link of NVLink 3, 4 and 5; 12 of
# the 15.75 GB/s of PCIe 3.0 x16.
_NVLINK_FRACTION = 0.8
PCIE_FRACTION = 0.76
"""The part of its rate that a link of PCIe reaches."""

_FASTEST_PCIE_BYTES_PER_S = 64e9
"""PCIe 5.0 x16, one way: what is faster is a link made for the purpose."""

_GLOO_STEP_S = 160e-6
_GLOO_BYTES_PER_S = 1.0e9
"""Between processes of one machine, fitted by benchmarks/fit/gloo_loopback.py: two ranks on two cores of a
2.6 GHz Xeon, torch 2.13, three runs with 149 to 170 us and 0.98 to 1.09 GB/s (2026-11-24)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Ranks in a ring of equal links.

    Attributes:
        ranks: Number of ranks.
        latency_s: Latency of a message (alpha), seconds.
        bandwidth_bytes_per_s: One-way rate of one link.
        start_s: Fixed time of a collective besides its messages, seconds.

    Raises:
        UsageError: There are no ranks, the bandwidth is not positive, or a time is negative.
    """

    ranks: int
    latency_s: float
    bandwidth_bytes_per_s: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.ranks < 1 or self.bandwidth_bytes_per_s <= 0 or self.latency_s < 0 or self.start_s < 0:
            raise UsageError(
                what="the ring has an impossible figure",
                why=f"{self.ranks} ranks, {self.bandwidth_bytes_per_s} bytes/s, latency {self.latency_s} s",
            )

    def all_gather_s(self, total_bytes: int) -> float:
        """Seconds of an all-gather of `total_bytes`: (n-1) alpha + (n-1)/n bytes / bandwidth.

        A reduce-scatter of the same bytes takes the same time.
        """
        return self._start_s + self._round_s(total_bytes)

    def all_reduce_s(self, message_bytes: int) -> float:
        """Seconds of an all-reduce: a reduce-scatter, then an all-gather of the same bytes."""
        return self._start_s + 2 * self._round_s(message_bytes)

    @property
    def _start_s(self) -> float:
        return self.start_s if self.ranks > 1 else 0.0

    def _round_s(self, message_bytes: int) -> float:
        steps = self.ranks - 1
        return steps * self.latency_s + steps / self.ranks * message_bytes / self.bandwidth_bytes_per_s


def collective_latency(device: Device, kind: CollectiveKind, message_bytes: int, ranks: int) -> Latency:
    """Latency of a collective among equal devices of one machine: NCCL on GPUs, gloo on CPUs.

    The library is assumed to choose the fastest protocol, as NCCL does by its own model.

    Args:
        device: Each of them; its `link_bandwidth_bytes_per_s` is the rate to its peers.
        kind: The collective.
        message_bytes: Bytes of the reduced tensor, the gathered result, or each rank's input to a scatter.
        ranks: Number of devices.

    Raises:
        DeviceError: The device is no CPU, and its file gives no link bandwidth.
        UsageError: There are no ranks.
    """
    value_s = min(
        ring.all_reduce_s(message_bytes) if kind == "all_reduce" else ring.all_gather_s(message_bytes)
        for ring in _rings(device, ranks)
    )
    limiter = "link" if value_s else "none"
    return LatencyEstimate(value_s, value_s / SPREAD_ANALYTIC, value_s * SPREAD_ANALYTIC, limiter, "analytic")


def _rings(device: Device, ranks: int) -> Iterator[Ring]:
    link = device.link_bandwidth_bytes_per_s
    if device.kind == "cpu":
        rate = link.value if link else _GLOO_BYTES_PER_S
        yield Ring(ranks=ranks, latency_s=_GLOO_STEP_S, bandwidth_bytes_per_s=rate)
        return
    if link is None:
        raise DeviceError(
            what=f"device {device.name!r} has no link to its peers",
            why="its file does not give the one-way rate",
            fix="add link_bandwidth_bytes_per_s to a copy of its file",
        )
    is_pcie = link.value <= _FASTEST_PCIE_BYTES_PER_S
    rate = link.value * (PCIE_FRACTION if is_pcie else _NVLINK_FRACTION)
    steps = _PCIE_STEP_S if is_pcie else _NVLINK_STEP_S
    for (start_s, part), step_s in zip(_NCCL_PROTOCOLS, steps, strict=True):
        yield Ring(ranks=ranks, latency_s=step_s, bandwidth_bytes_per_s=rate * part, start_s=start_s)
