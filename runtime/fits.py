"""Whether a program fits into the memory of a device: what its allocator will hold, step after step."""

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.allocations import Allocation, allocations, first_step
from steelyard.compiler.dialects.program import OP_PATH, SOURCE, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.storage import join_paths
from steelyard.hw.allocators.choice import context_overhead, make_allocator
from steelyard.hw.allocators.cuda_options import CudaOptions
from steelyard.hw.device import Device
from steelyard.hw.errors import UsageError
from steelyard.passes.replay import Replay, replay
from steelyard.passes.workspace import workspace_of


@dataclass(frozen=True, slots=True)
class Fit:
    """What a device would hold, and whether it can.

    Attributes:
        device: Its name.
        capacity_bytes: All of its memory.
        context_bytes: What the driver and the libraries take: value, low and high.
        reserve_bytes: What is to be left free.
        peak_allocated_bytes: The most that tensors take, rounded by the allocator.
        peak_reserved_bytes: The most that the allocator takes from the device, gaps included.
        first_step_bytes: The most that tensors take in the first step, where the optimizer makes its state.
        place: The op at the peak; where it fails, the op that does.
        why: Why it fails; empty if it fits.
    """

    device: str
    capacity_bytes: int
    context_bytes: tuple[int, int, int]
    reserve_bytes: int
    peak_allocated_bytes: int
    peak_reserved_bytes: int
    first_step_bytes: int
    place: str
    why: str

    @property
    def fits(self) -> bool:
        """Whether nothing fails."""
        return not self.why

    @property
    def margin_bytes(self) -> tuple[int, int, int]:
        """What is left beside peak, context and reserve: value, low and high; negative if short."""
        left = self.capacity_bytes - self.reserve_bytes - self.peak_reserved_bytes
        value, low, high = self.context_bytes
        return left - value, left - high, left - low


def check_fit(
    module: ModuleOp, device: Device, reserve_bytes: int = 0, options: CudaOptions | None = None
) -> Fit:
    """Serve two steps of a program with the device's allocator.

    Args:
        module: A program with `cost.work`, which says where kernels of a CPU take workspace.
        device: The device.
        reserve_bytes: What is to be left free.
        options: Of the CUDA allocator.

    Raises:
        UsageError: The reserve and the context leave nothing.
        IRError: The module is no program.
    """
    return fit_of(steps_of(module, device), device, reserve_bytes, options)


def steps_of(module: ModuleOp, device: Device) -> tuple[list[Allocation], list[Allocation]]:
    """What the first and every later step of a program ask for."""
    events = [*allocations(module, workspace_of(device))]
    return first_step(module, events), events


def fit_of(
    steps: Sequence[Sequence[Allocation]], device: Device, reserve_bytes: int, options: CudaOptions | None
) -> Fit:
    """As `check_fit`, for the events of two steps.

    Raises:
        UsageError: The reserve and the context leave nothing.
    """
    total, context = round(device.memory_capacity_bytes.value), context_overhead(device)
    capacity = total - context.value - reserve_bytes
    if capacity <= 0:
        raise UsageError(
            what=f"nothing is left of the memory of {device.name}",
            why=f"of {total:,} bytes the context takes {context.value:,}, and {reserve_bytes:,} are reserved",
            fix="reserve less",
        )
    limited = replay(steps, make_allocator(device, capacity, options))
    # What would be needed is found without the limit, which makes an allocator give its cache back.
    free = limited if limited.failed is None else replay(steps, make_allocator(device, None, options))
    at = limited.failed_at if limited.failed else free.peak.at
    return Fit(
        device=device.name,
        capacity_bytes=total,
        context_bytes=(context.value, context.low, context.high),
        reserve_bytes=reserve_bytes,
        peak_allocated_bytes=free.peak.allocated,
        peak_reserved_bytes=free.peak_reserved,
        first_step_bytes=_peak_of_first(free, len(steps[0])),
        place=_place(at),
        why=f"{limited.failed.what}; {limited.failed.why}" if limited.failed else "",
    )


def _peak_of_first(run: Replay, events: int) -> int:
    return max(moment.allocated for moment in run.moments[:events])


def _place(at: Sequence[Operation]) -> str:
    if not at:
        return "before the first op"
    path = ""
    for op in at:
        path = join_paths(path, text_attribute(op, OP_PATH))
    name = operator_name(at[-1]) if isinstance(at[-1], TorchOp) else at[-1].name
    source = text_attribute(at[-1], SOURCE)
    return " ".join(filter(None, [name, f"in {path}" if path else "", f"({source})" if source else ""]))
