"""The allocations of a training step on a device: of the first one, and of every later one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from xdsl.ir import Operation

from steelyard.compiler.analysis.allocation_trace import Allocation, first_step, owned_allocations
from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import LiveStorage
from steelyard.compiler.dialects.cost import WORK, WorkAttr
from steelyard.compiler.dialects.program import PHASE, text_attribute
from steelyard.hw.allocators.context import Version
from steelyard.hw.devices.device import Device
from steelyard.hw.scratch.cublas import cublas_workspace_bytes
from steelyard.passes.op_cost.workspace import workspace_of

CATEGORIES = (
    "parameter",
    "buffer",
    "gradient",
    "optimizer_state",
    "activation",
    "temporary",
    "workspace",
    "communication",
    "input",
)
"""What the bytes of storages are for; those of targets, and of arguments without a role, count as input."""


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Events of two steps.

    Attributes:
        first: Of the first, in which the optimizer makes its state and libraries their workspace.
        steady: Of every later one.
        owners: What each storage is, by its number.
    """

    first: Sequence[Allocation]
    steady: Sequence[Allocation]
    owners: dict[int, LiveStorage]

    @property
    def steps(self) -> tuple[Sequence[Allocation], Sequence[Allocation]]:
        """Both, one after the other."""
        return self.first, self.steady

    def category(self, storage: int) -> str:
        """One of `CATEGORIES`."""
        role = self.owners[storage].role
        return "input" if role in ("target", "") else role

    def with_kept_gradients(self) -> "StepMemory":
        """The same if gradients are set to zero instead of being dropped: fresh ones are added to them."""
        owners, steady = dict(self.owners), list[Allocation]()
        kept = [e for e in self.steady if self.category(e.storage) == "gradient" and e.bytes > 0]
        for event in self.steady:
            if self.category(event.storage) != "gradient":
                steady.append(event)
            elif event.bytes > 0:
                number = min(*owners, 0) - 1
                owners[number] = replace(owners[event.storage], role="temporary")
                fresh = replace(event, storage=number)
                steady += [fresh, replace(fresh, bytes=-event.bytes)]
        first = [e for e in self.first if self.category(e.storage) != "gradient" or e.bytes > 0]
        return StepMemory(first, [*(replace(event, at=()) for event in kept), *steady], owners)

    def without_kernel_workspace(self) -> "StepMemory":
        """The same for kernels that take no memory of their own; libraries keep theirs."""

        def is_kept(event: Allocation) -> bool:
            return event.storage < 0 or self.category(event.storage) != "workspace"

        return replace(self, first=[*filter(is_kept, self.first)], steady=[*filter(is_kept, self.steady)])


def step_memory(program: Analyses, device: Device, cuda: Version | None = None) -> StepMemory:
    """Find the events of a program.

    Args:
        program: Its analyses; its ops have `cost.work`, which says which kernels take workspace.
        device: The device.
        cuda: Its version of CUDA; None for a new one.

    Raises:
        IRError: The module is not a program.
    """
    events, owners = owned_allocations(program, workspace_of(device))
    first = first_step(program, events)
    size = cublas_workspace_bytes(device, cuda)
    if not size:
        return StepMemory(first, events, owners)
    for number, index in enumerate(_library_calls(first), 1):
        event = Allocation(-number, size, first[index].at)
        first.insert(index, event)
        events.insert(0, replace(event, at=()))
        owners[-number] = LiveStorage("workspace", "(cuBLAS)", size)
    return StepMemory(first, events, owners)


def _library_calls(events: Sequence[Allocation]) -> Iterator[int]:
    """First cuBLAS calls of each thread: of the program, and of autograd; the last first."""
    is_called = {False: False, True: False}
    found: list[int] = []
    for index, event in enumerate(events):
        if event.at and _is_product(event.at[-1]):
            backward = text_attribute(event.at[0], PHASE) == "backward"
            if not is_called[backward]:
                is_called[backward] = True
                found.append(index)
    return reversed(found)


def _is_product(op: Operation) -> bool:
    work = op.attributes.get(WORK)
    return isinstance(work, WorkAttr) and work.data.kind == "contraction"
