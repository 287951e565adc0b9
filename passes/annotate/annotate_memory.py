"""The pass annotate-memory: how much memory is alive at each op."""

from collections import Counter
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.analysis.storages import path_of
from steelyard.compiler.dialects.cost import MEMORY, LiveBytes, MemoryAttr
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.pass_infra.totals import write_totals
from steelyard.hw.devices.registry import load_device
from steelyard.passes.op_cost.workspace import no_workspace, workspace_of


@dataclass(frozen=True)
class AnnotateMemoryPass(ModulePass):
    """Say of each op how many bytes are alive before, at and after it.

    Reads types, aliases, phases and the roles of the arguments. Writes `cost.memory` on each op and the
    entry `memory` of the module's `cost.totals`: the peak, the op and the module path where it is reached,
    and what is alive there by role. Bytes are those of storages: views and in-place results take none. On a
    call they are those of the function at its peak; inside a function that is called they count from its
    entry.

        %2 = aten.relu(%1) {cost.memory = #cost.memory<live = [8, 16, 8], allocates = 8, frees = 8>} : ...

    Kernels of a CPU take workspace for convolutions and bf16 products (oneDNN), those of a GPU for
    convolutions (cuDNN), which needs `cost.work`.

    Raises:
        DeviceError: the device is not known.
        IRError: the module is no program, or its types cannot be read.
    """

    name = "annotate-memory"

    device: str | None = None
    """The device whose kernels run; without it workspace is not counted."""

    threads: int | None = None
    """Threads of a CPU, some kernels of which need scratch for each; all its cores where not given."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Annotate the ops of a module."""
        workspace = workspace_of(load_device(self.device), self.threads) if self.device else no_workspace
        found = liveness(op, workspace)
        attributes: dict[LiveBytes, MemoryAttr] = {}
        for each, live in found.at.items():
            each.attributes[MEMORY] = attributes.setdefault(live, MemoryAttr(live))
        by_role: Counter[str] = Counter()
        for storage in found.peak:
            by_role[storage.role] += storage.bytes
        options = {"device": self.device, "threads": self.threads}
        totals = {
            **{name: value for name, value in options.items() if value is not None},
            "peak_bytes": found.peak_bytes,
            "peak_op": _name(found.peak_at[-1]) if found.peak_at else "",
            "peak_path": path_of(found.peak_at),
            "peak_bytes_by_role": dict(sorted(by_role.items())),
        }
        write_totals(op, "memory", totals)


def _name(op: Operation) -> str:
    return operator_name(op) if isinstance(op, TorchOp) else op.name
