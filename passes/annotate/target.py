"""The target: the device and the way of running that a program is annotated for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.pass_infra.totals import read_totals, write_totals
from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.kernel_work import ExecutionMode
from steelyard.hw.timeline.dispatch_cost import parse_release

_ENTRY = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The device and the way of running that a program is annotated for.

    Ranks are not part of it: a sharded program says itself how many there are.

    Attributes:
        device: Name of a device, or path of its file.
        context: Execution op by op (eager), as one CUDA graph (graph), or by compiled code (compiled).
        tf32: Whether f32 products may use TF32 units.
        threads: Threads of a CPU, some kernels of which need scratch for each; by default as many as it was
            calibrated with, or all its cores.
        software: Release of PyTorch that dispatches on the host, such as `torch-2.1`; the newest by default.
        keep_memory: Whether malloc keeps what is freed, so that no page faults.

    Raises:
        UsageError: there is no such context, or the software is no release.
    """

    device: str = "cpu"
    context: str = "eager"
    tf32: bool = False
    threads: int | None = None
    software: str | None = None
    keep_memory: bool = False

    def __post_init__(self) -> None:
        if self.context not in get_args(ExecutionMode):
            raise UsageError(
                what=f"there is no context {self.context!r}",
                fix=did_you_mean(self.context, get_args(ExecutionMode)),
            )
        if self.software:
            parse_release(self.software)


def read_target(module: ModuleOp) -> Target | None:
    """The target that a program is annotated for; None where no annotation is for a device."""
    entry = read_totals(module).get(_ENTRY)
    return Target(**cast("Mapping[str, Any]", entry)) if isinstance(entry, Mapping) else None


def write_target(module: ModuleOp, target: Target) -> None:
    """Keep the target in the totals of a program, so that a later pass annotates alike."""
    write_totals(module, _ENTRY, {name: value for name, value in asdict(target).items() if value is not None})
