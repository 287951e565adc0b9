"""The pass annotate-memory: live bytes at each op and the peak."""

from dataclasses import dataclass, replace

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.pass_infra.contract import require
from steelyard.passes.annotate.memory import annotate_memory
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import Target, read_target, write_target


@dataclass(frozen=True)
class AnnotateMemoryPass(ProgramPass):
    """Annotate each op with the bytes that are alive before, at and after it.

    Reads types, aliases, phases and the roles of the arguments. Writes `cost.memory` on each op and the
    entry `memory` of the module's `cost.totals`: the peak, the op and the module path where it is reached,
    and the bytes alive there by role, module path and source line. Bytes are those of storages: views and
    in-place results take none. On a call they are those of the function at its peak; inside a function that
    is called they count from its entry.

        %2 = aten.relu(%1) {cost.memory = #cost.memory<live = [8, 16, 8], allocates = 8, frees = 8>} : ...

    Kernels of a CPU take workspace for convolutions and bf16 products (oneDNN), those of a GPU for
    convolutions (cuDNN), which needs `cost.work`.

    Raises:
        DeviceError: the device is not known.
        IRError: the module is not a program, its types cannot be read, or a device is given and `cost.work`
            is missing.
    """

    name = "annotate-memory"
    ensures = frozenset({"memory"})
    invalidates = frozenset({"latency"})

    device: str | None = None
    """The device whose kernels run; by default that of the target, without which workspace is not counted."""

    threads: int | None = None
    """Threads of a CPU, some kernels of which need scratch for each; all its cores where not given."""

    def transform(self, program: Analyses) -> None:
        """Annotate the ops of a module."""
        if self.device:
            require(program.module, {"work"}, self.name)
            target = replace(
                read_target(program.module) or Target(), device=self.device, threads=self.threads
            )
            write_target(program.module, target)
        annotate_memory(program, read_target(program.module))
