"""Data parallelism in which the ranks share out what each would hold for itself: ZeRO, stages 1 to 3.

Rajbhandari et al. 2020 (arXiv 1910.02054): stage 1 shares out the optimizer's state, stage 2 the gradients
too, stage 3 the parameters too. A rank keeps its part, and has what it needs of the others' only for a while.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steelyard.compiler.analysis.allocation_trace import Allocation
from steelyard.compiler.analysis.liveness import LiveStorage
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import MIB
from steelyard.hw.devices.device import Device
from steelyard.hw.links.collective import collective_latency
from steelyard.passes.memory.step_memory import StepMemory

_SHARED = {
    1: ("optimizer_state",),
    2: ("optimizer_state", "gradient"),
    3: ("optimizer_state", "gradient", "parameter"),
}
BUCKET_BYTES = 25 * MIB
"""Gradients are sent in messages of this size, as in PyTorch's DistributedDataParallel."""
_IN_FLIGHT = 2
"""Buckets, or gathered blocks: one in use, and one on its way."""


@dataclass(frozen=True, slots=True)
class Zero:
    """A way to share out.

    Attributes:
        stage: 1, 2 or 3.
        ranks: Devices, each with a batch of its own.

    Raises:
        UsageError: There is no such stage, or there are less than two ranks.
    """

    stage: int
    ranks: int

    def __post_init__(self) -> None:
        if self.stage not in _SHARED:
            raise UsageError(what=f"ZeRO has no stage {self.stage}", why="the stages are 1, 2 and 3")
        if self.ranks < 2:
            raise UsageError(what=f"{self.ranks} device cannot share", why="it takes at least two")

    def memory(self, memory: StepMemory) -> StepMemory:
        """Memory of one rank under ZeRO, from its memory without it."""
        owners = dict(memory.owners)
        buffers = self._buffer_bytes(memory)
        number = min(owners, default=0) - 1
        owners[number] = LiveStorage("communication", "(ZeRO)", buffers)
        resident = Allocation(number, buffers, ())
        first, steady = ([resident, *self._shared(events, memory, owners)] for events in memory.steps)
        return StepMemory(first, steady, owners)

    def communication_s(self, memory: StepMemory, device: Device) -> float:
        """Seconds that a step sends for, if nothing else goes on meanwhile.

        Stages 1 and 2 scatter the sums of the gradients and gather the parameters that the ranks updated;
        stage 3 gathers the parameters once more, for the backward.

        Raises:
            DeviceError: Nothing is known of the device's links.
        """
        parameters = sum(_sizes(memory, "parameter").values())
        gradients = sum(_sizes(memory, "gradient").values()) or parameters
        gathers = 2 if self.stage == 3 else 1
        return (
            collective_latency(device, "reduce_scatter_tensor", gradients, self.ranks).value_s
            + gathers * collective_latency(device, "all_gather_into_tensor", parameters, self.ranks).value_s
        )

    def _shared(
        self, events: Sequence[Allocation], memory: StepMemory, owners: dict[int, LiveStorage]
    ) -> list[Allocation]:
        """The events with a rank's part in place of what is shared; a gradient is made whole at first."""
        made: list[Allocation] = []
        for event in events:
            role = memory.owners[event.storage].role
            if role not in _SHARED[self.stage]:
                made.append(event)
                continue
            part = replace(event, bytes=self._part(event.bytes))
            if role == "gradient" and event.bytes > 0 and event.at:
                number = min(owners) - 1
                owners[number] = replace(memory.owners[event.storage], role="communication")
                made += [replace(event, storage=number), part, Allocation(number, -event.bytes, event.at)]
            else:
                made.append(part)
            owners[event.storage] = replace(memory.owners[event.storage], bytes=abs(part.bytes))
        return made

    def _part(self, size_bytes: int) -> int:
        return size_bytes // self.ranks if size_bytes < 0 else -(-size_bytes // self.ranks)

    def _buffer_bytes(self, memory: StepMemory) -> int:
        """Buckets of gradients, and from stage 3 on the blocks whose parameters are gathered."""
        buckets = _IN_FLIGHT * min(BUCKET_BYTES, sum(_sizes(memory, "gradient").values()))
        if self.stage < 3:
            return buckets
        blocks = Counter[str]()
        for number, size in _sizes(memory, "parameter").items():
            blocks[_block_of(memory.owners[number].path)] += size
        return buckets + sum(size for _, size in blocks.most_common(_IN_FLIGHT))


def _sizes(memory: StepMemory, role: str) -> dict[int, int]:
    made = (event for event in memory.steady if event.bytes > 0)
    return {event.storage: event.bytes for event in made if memory.owners[event.storage].role == role}


def _block_of(path: str) -> str:
    """The repeated block of a parameter: its path up to the first number, or its module."""
    parts = path.split(".")
    for index, part in enumerate(parts):
        if part.isdecimal():
            return ".".join(parts[: index + 1])
    return ".".join(parts[:-1])
