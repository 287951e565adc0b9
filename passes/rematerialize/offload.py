"""The pass offload: copy activations and optimizer state to the host and back, under a memory budget."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.host_link import host_copy_s
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.rematerialize.fit_budget import ActivationBudget
from steelyard.passes.rematerialize.offload_timetable import Link


@dataclass(frozen=True)
class OffloadPass(ProgramPass):
    """Reduce device memory: offload or recompute activations, and keep optimizer state on the host.

    Includes `recompute`: each activation is saved, offloaded or recomputed, all under one budget, so that the
    result is never slower than that of `recompute`. Copies are timed on the device's link to its host.
    Offloads run one after the other beside the kernels, and so do fetches; an offload starts after the last
    use in the forward, a fetch as late as is in time. Stalls of kernels are part of the cost.

        %h = host.offload %1 : tensor<4x8xf32> -> !host.copy<tensor<4x8xf32>>
        program.drop %1 : tensor<4x8xf32>
        %2 = host.fetch %h : !host.copy<tensor<4x8xf32>> -> tensor<4x8xf32>

    Optimizer state may live on the host between steps: its arguments are of type `!host.copy`, a fused
    optimizer becomes several ops over consecutive parameters, each with its state fetched before and stored
    after. The share of such state is chosen by the same cost under the same budget.

        %m = host.fetch %state : !host.copy<tensor<4x8xf32>> -> tensor<4x8xf32>
        host.store %m, %state : tensor<4x8xf32> -> !host.copy<tensor<4x8xf32>>

    Raises:
        UsageError: no plan is within the budget (the error states the smallest feasible one), or `ahead` is
            less than 1.
        DeviceError: the device has no link to a host.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "offload"
    requires = frozenset({"work", "latency"})
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    budget: float = 0.5
    """Bytes that activations may add to the peak, as a share of those they add without the pass."""

    budget_bytes: int | None = None
    """Limit of the peak of all live bytes; overrides the share."""

    ahead: float = 1.0
    """Prefetch distance: start of a fetch before its use, as a multiple of the copy time."""

    def transform(self, program: Analyses) -> None:
        """Rewrite the program of a module."""
        if self.ahead < 1:
            raise UsageError(what=f"ahead is {self.ahead:g}", where=self.name, why="it must be at least 1")
        target = read_target(program.module)
        assert target, "a program with latencies has a target"
        link = link_of(load_device(target.device), self.ahead)
        ActivationBudget(self.name, self.budget, self.budget_bytes).fit(program, target, link)


def link_of(device: Device, ahead: float) -> Link:
    """The link of a device to its host.

    Raises:
        DeviceError: It has none.
    """
    host_copy_s(device, 0)

    def copy_us(num_bytes: int) -> float:
        return host_copy_s(device, num_bytes) * 1e6

    return Link(copy_us, ahead)
