"""The pass offload: activations and optimizer state on the host, as far as a budget of memory asks."""

from dataclasses import dataclass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.host_link import host_copy_s
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.rematerialize.fit_budget import Budget
from steelyard.passes.rematerialize.offload_timetable import Link


@dataclass(frozen=True)
class OffloadPass(ProgramPass):
    """Keep less on the device: activations move to the host and back or are made again, state lives there.

    As `recompute`, which it contains: of each activation one decision says whether it stays, moves or is made
    again, all under one budget, so that the result is never slower than that of `recompute`. A copy is priced
    on the device's link to its host. Copies out follow each other beside the kernels, and so do copies back;
    a copy out starts after the last use in the forward, a copy back as late as it comes in time. What kernels
    still wait for is part of the price.

        %h = host.offload %1 : tensor<4x8xf32> -> !host.copy<tensor<4x8xf32>>
        program.drop %1 : tensor<4x8xf32>
        %2 = host.fetch %h : !host.copy<tensor<4x8xf32>> -> tensor<4x8xf32>

    Optimizer state may live on the host between steps: its arguments are of type `!host.copy`, a fused
    optimizer becomes several ops over consecutive parameters, and each has its state fetched before and
    stored after. How much state does so is decided by the same price under the same budget.

        %m = host.fetch %state : !host.copy<tensor<4x8xf32>> -> tensor<4x8xf32>
        host.store %m, %state : tensor<4x8xf32> -> !host.copy<tensor<4x8xf32>>

    Raises:
        UsageError: no plan is within the budget (the error says the least that would do), or `ahead` is less
            than 1.
        DeviceError: the device has no link to a host.
        IRError: the program has no annotated latency, or its types cannot be read.
    """

    name = "offload"
    requires = frozenset({"work", "latency"})
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    budget: float = 0.5
    """What activations may add to the peak of live bytes, as a share of what they add without the pass."""

    budget_bytes: int | None = None
    """Peak of all live bytes; goes before the share."""

    ahead: float = 1.0
    """The prefetch distance: how early a copy back starts, as a multiple of what it takes."""

    def transform(self, program: Analyses) -> None:
        """Rewrite the program of a module."""
        if self.ahead < 1:
            raise UsageError(what=f"ahead is {self.ahead:g}", where=self.name, why="it must be at least 1")
        target = read_target(program.module)
        assert target, "a program with latencies has a target"
        link = link_of(load_device(target.device), self.ahead)
        Budget(self.name, self.budget, self.budget_bytes).fit(program, target, link)


def link_of(device: Device, ahead: float) -> Link:
    """The link of a device to its host.

    Raises:
        DeviceError: It has none.
    """
    host_copy_s(device, 0)

    def copy_us(num_bytes: int) -> float:
        return host_copy_s(device, num_bytes) * 1e6

    return Link(copy_us, ahead)
