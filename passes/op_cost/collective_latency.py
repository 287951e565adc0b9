"""Latency of the collectives of a sharded program."""

from dataclasses import dataclass
from typing import cast, get_args

from steelyard.compiler.analysis.op_facts import where
from steelyard.compiler.dialects.cost import WorkCounts
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.hw.base.errors import IRError, did_you_mean
from steelyard.hw.base.latency import Latency
from steelyard.hw.devices.device import Device
from steelyard.hw.links.collective import CollectiveKind, collective_latency


@dataclass(frozen=True, slots=True)
class CollectiveLatency:
    """Times collectives among equal devices of one machine.

    Attributes:
        device: Each of them.
        ranks: How many there are; None where the program does not say.
    """

    device: Device
    ranks: int | None

    def time(self, op: TorchOp, kind: str, work: WorkCounts) -> Latency:
        """Return the latency of a collective; several tensors are sent as one message.

        The message is the larger of what goes in and what comes out: the gathered result, the scattered
        input, the reduced tensor.

        Args:
            op: Named in errors.
            kind: The collective kind of its description.
            work: What one rank reads and writes.

        Raises:
            IRError: The number of ranks is not known, or nothing is known of such a collective.
            DeviceError: Nothing is known of the device's links.
        """
        if self.ranks is None:
            raise IRError(
                what=f"how long {operator_name(op)} takes is not known",
                where=where(op) or None,
                why="the module does not say how many ranks there are (shard.mesh)",
                fix="let `shard` make the program",
            )
        if kind not in get_args(CollectiveKind):
            raise IRError(
                what=f"how long {operator_name(op)} takes is not known",
                where=where(op) or None,
                fix=did_you_mean(kind, get_args(CollectiveKind)),
            )
        message_bytes = max(work.bytes_read, work.bytes_written)
        return collective_latency(self.device, cast(CollectiveKind, kind), message_bytes, self.ranks)
