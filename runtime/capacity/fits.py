"""Fit of a program into the memory of a device, by a replay of its allocator over two steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import LiveStorage
from steelyard.compiler.analysis.storages import path_of
from steelyard.compiler.dialects.program import SOURCE, text_attribute
from steelyard.compiler.dialects.torch_op import operator_name
from steelyard.compiler.pass_infra.totals import largest_first, unknown_ops
from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.allocators.context import Version, context_overhead
from steelyard.hw.allocators.options import AllocatorOptions
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device
from steelyard.passes.memory.allocator_replay import Replay, replay, requests
from steelyard.passes.memory.step_memory import StepMemory, step_memory

_NAMES = {"parameter": 1, "buffer": 1, "optimizer_state": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBudget:
    """The memory that there is.

    Attributes:
        device: Whose.
        reserve_bytes: What is to be left free.
        options: Of the allocator.
        cuda: The version of CUDA; None for the newest that the device has.
        keep_gradients: Whether gradients are set to zero after a step, not dropped.
    """

    device: Device
    reserve_bytes: int = 0
    options: AllocatorOptions | None = None
    cuda: Version | None = None
    keep_gradients: bool = False

    def memory(self, module: ModuleOp) -> StepMemory:
        """Step memory of a program with `cost.work`.

        Raises:
            IRError: The module is not a program.
        """
        memory = step_memory(Analyses(module), self.device, self.cuda)
        return memory.with_kept_gradients() if self.keep_gradients else memory


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFit:
    """Memory fit of a program on a device.

    Attributes:
        device: Its name.
        capacity_bytes: All of its memory.
        context_bytes: What the driver and the libraries take: value, low and high.
        reserve_bytes: What is to be left free.
        peak_allocated_bytes: The most that tensors take, rounded by the allocator.
        peak_reserved_bytes: The most that the allocator takes from the device, gaps included.
        first_step_bytes: The most that tensors take in the first step, where the optimizer makes its state.
        unsure_bytes: The part of the peak that kernels take for themselves. It is modelled, not measured, and
            may be none or twice as much.
        place: The op at the peak; where it fails, the op that does.
        why: Why it fails; empty if it fits.
        by_category: Every byte at the peak, by what it is for, the largest first.
        by_module: The bytes of storages at the peak by module, the largest first; likewise by source line.
        unknown_by_op: The ops of unknown work and how many of each: no figure has what they take for
            themselves.
    """

    device: str
    capacity_bytes: int
    context_bytes: tuple[int, int, int]
    reserve_bytes: int
    peak_allocated_bytes: int
    peak_reserved_bytes: int
    first_step_bytes: int
    unsure_bytes: int
    place: str
    why: str
    by_category: dict[str, int] = field(default_factory=dict[str, int])
    by_module: dict[str, int] = field(default_factory=dict[str, int])
    by_source: dict[str, int] = field(default_factory=dict[str, int])
    unknown_by_op: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def fits(self) -> bool:
        """Whether nothing fails."""
        return not self.why

    @property
    def margin_bytes(self) -> tuple[int, int, int]:
        """Margin beside peak, context and reserve: value, low and high; negative if short."""
        left = self.capacity_bytes - self.reserve_bytes - self.peak_reserved_bytes
        value, low, high = self.context_bytes
        return left - value, left - high - self.unsure_bytes, left - low + self.unsure_bytes


def check_fit(module: ModuleOp, budget: MemoryBudget) -> MemoryFit:
    """Serve two steps of a program with the device's allocator.

    Args:
        module: A program with `cost.work`, which says where kernels take workspace.
        budget: The memory that there is.

    Raises:
        UsageError: The reserve and the context leave nothing.
        IRError: The module is not a program.
    """
    return fit_of(budget.memory(module), budget, unknown_ops(module))


def fit_of(memory: StepMemory, budget: MemoryBudget, unknown: Mapping[str, int]) -> MemoryFit:
    """As `check_fit`, for the events of two steps and the ops of unknown work in them.

    Raises:
        UsageError: The reserve and the context leave nothing.
    """
    device, capacity = budget.device, usable_bytes(budget)
    context = context_overhead(device, budget.cuda)
    limited = replay(memory.steps, make_allocator(device, capacity, budget.options))
    # What would be needed is found without the limit, which makes an allocator give its cache back.
    free = replay(memory.steps, make_allocator(device, None, budget.options)) if limited.failed else limited
    sure = replay(
        memory.without_kernel_workspace().steps, make_allocator(device, None, budget.options)
    ).peak_reserved
    alive = _alive_at_peak(memory, free)
    modules, sources = (Counter[str]() for _ in range(2))
    categories = Counter[str]()
    for number, size in alive.items():
        owner = memory.owners[number]
        categories[memory.category(number)] += size
        modules[_module_of(owner)] += size
        sources[owner.source or f"({memory.category(number)})"] += size
    categories["fragmentation"] = free.peak_reserved - categories.total()
    categories["context"] = context.value
    return MemoryFit(
        device=device.name,
        capacity_bytes=round(device.memory_capacity_bytes.value),
        context_bytes=(context.value, context.low, context.high),
        reserve_bytes=budget.reserve_bytes,
        peak_allocated_bytes=free.peak.allocated,
        peak_reserved_bytes=free.peak_reserved,
        first_step_bytes=_peak_of_first(free, len(memory.first)),
        unsure_bytes=max(0, free.peak_reserved - sure),
        place=_place(limited.failed_at if limited.failed else free.peak.at),
        why=_why(limited, memory),
        by_category=largest_first(categories),
        by_module=largest_first(modules),
        by_source=largest_first(sources),
        unknown_by_op=dict(unknown),
    )


def fits_into(memory: StepMemory, budget: MemoryBudget) -> bool:
    """Whether every request is served: as `fit_of`, without finding out what is needed.

    Raises:
        UsageError: The reserve and the context leave nothing.
    """
    allocator = make_allocator(budget.device, usable_bytes(budget), budget.options)
    return replay(memory.steps, allocator).failed is None


def usable_bytes(budget: MemoryBudget) -> int:
    """Bytes available to tensors on the device.

    Raises:
        UsageError: The reserve and the context leave nothing.
    """
    total = round(budget.device.memory_capacity_bytes.value)
    context = context_overhead(budget.device, budget.cuda)
    usable = total - context.value - budget.reserve_bytes
    if usable <= 0:
        raise UsageError(
            what=f"nothing is left of the memory of {budget.device.name}",
            why=f"of {total:,} bytes the context takes {context.value:,}, "
            f"and {budget.reserve_bytes:,} are reserved",
            fix="reserve less",
        )
    return usable


def _alive_at_peak(memory: StepMemory, run: Replay) -> dict[int, int]:
    """The storages that are alive when most is allocated, with their bytes."""
    alive: dict[int, int] = {}
    for event in islice(requests(memory.steps), run.moments.index(run.peak) + 1):
        if event.storage in alive:
            del alive[event.storage]
        else:
            alive[event.storage] = event.bytes
    return alive


def _module_of(owner: LiveStorage) -> str:
    """The module of a storage: a parameter's path ends in its name, that of its state in two."""
    names = _NAMES.get(owner.role, 0)
    module = ".".join(owner.path.split(".")[:-names]) if names else owner.path
    return module or f"({owner.role})"


def _peak_of_first(run: Replay, events: int) -> int:
    return max(moment.allocated for moment in run.moments[:events])


def _why(run: Replay, memory: StepMemory) -> str:
    if run.failed is None:
        return ""
    why = f"{run.failed.what}; {run.failed.why}"
    if run.failed_at:
        return why
    resident = sum(event.bytes for event in memory.first if not event.at)
    return f"parameters, inputs and what else is there before a step take {resident:,} bytes; {why}"


def _place(at: Sequence[Operation]) -> str:
    if not at:
        return "before the first op"
    path, source = path_of(at), text_attribute(at[-1], SOURCE)
    name = operator_name(at[-1])
    return " ".join(filter(None, [name, f"in {path}" if path else "", f"({source})" if source else ""]))
