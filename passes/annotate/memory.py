"""Annotation of memory: live bytes at each op, and the peak with all that is alive there."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import LiveStorage, Workspace, no_workspace
from steelyard.compiler.analysis.storages import path_of
from steelyard.compiler.dialects.cost import MEMORY, LiveBytes, MemoryAttr
from steelyard.compiler.dialects.torch_op import operator_name
from steelyard.compiler.pass_infra.totals import largest_first, write_totals
from steelyard.hw.devices.registry import load_device
from steelyard.hw.scratch.scratch_bytes import MEASURED
from steelyard.passes.annotate.target import Target
from steelyard.passes.op_cost.workspace import CpuWorkspace, workspace_of

MADE_BY_STEP = ("gradient", "activation", "temporary", "workspace", "communication")
"""Roles of the storages that a step makes itself, in contrast to its arguments."""


def annotate_memory(program: Analyses, target: Target | None) -> None:
    """Annotate each op with the bytes alive before, at and after it, and the program with its peak.

    Writes `cost.memory` on each op and the entry `memory` of the totals: the peak, the op and the module path
    where it is reached, and the bytes alive there by role, and of what the step makes itself by module path
    and by source line, the largest first. Bytes are those of storages: views and in-place results take none.
    On a call they are those of the function at its peak; inside a function that is called they count from its
    entry. Where the scratch of kernels depends on an instruction set that was not measured, the
    peak is the most that is possible, and `peak_low_bytes` the least.

    Args:
        program: Its analyses.
        target: Whose kernels take workspace, of which `cost.work` is read; none of them without a target.

    Raises:
        DeviceError: the device is not known.
        IRError: the module is not a program, or its types cannot be read.
    """
    workspace = workspace_for(target)
    found = program.liveness(workspace)
    attributes: dict[LiveBytes, MemoryAttr] = {}
    for each, live in found.at.items():
        each.attributes[MEMORY] = attributes.setdefault(live, MemoryAttr(live))
    made = [each for each in found.peak if each.role in MADE_BY_STEP]
    totals: dict[str, Any] = {
        "peak_bytes": found.peak_bytes,
        "peak_op": operator_name(found.peak_at[-1]) if found.peak_at else "",
        "peak_path": path_of(found.peak_at),
        "peak_bytes_by_role": _by_name((each.role, each) for each in found.peak),
        "peak_bytes_by_path": _by_name((each.path, each) for each in made),
        "peak_bytes_by_source": _by_name((each.source, each) for each in made if each.source),
    }
    if isinstance(workspace, CpuWorkspace) and workspace.instruction_set not in MEASURED:
        least_bytes = program.liveness(replace(workspace, is_least=True)).peak_bytes
        totals |= {"peak_low_bytes": least_bytes} if least_bytes < found.peak_bytes else {}
    write_totals(program.module, "memory", totals)


def workspace_for(target: Target | None) -> Workspace:
    """The workspace of the kernels of a target; without one, none.

    Raises:
        DeviceError: the device is not known.
    """
    return workspace_of(load_device(target.device), target.threads) if target else no_workspace


def _by_name(named: Iterable[tuple[str, LiveStorage]]) -> dict[str, int]:
    sizes = Counter[str]()
    for name, storage in named:
        sizes[name] += storage.bytes
    return largest_first(sizes)
