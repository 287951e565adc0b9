"""Steelyard's dialects and passes as xDSL's own tools load them; each is imported when asked for."""

from xdsl.passes import ModulePass
from xdsl.universe import Universe

from steelyard.compiler.ir.context import DIALECTS


def _annotate() -> type[ModulePass]:
    from steelyard.passes.annotate.annotate_pass import AnnotatePass

    return AnnotatePass


def _annotate_cost() -> type[ModulePass]:
    from steelyard.passes.annotate.annotate_cost import AnnotateCostPass

    return AnnotateCostPass


def _annotate_latency() -> type[ModulePass]:
    from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

    return AnnotateLatencyPass


def _annotate_memory() -> type[ModulePass]:
    from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass

    return AnnotateMemoryPass


def _outline() -> type[ModulePass]:
    from steelyard.passes.structure.outline import OutlinePass

    return OutlinePass


def _inline() -> type[ModulePass]:
    from steelyard.passes.structure.inline import InlinePass

    return InlinePass


def _fuse() -> type[ModulePass]:
    from steelyard.passes.fusion.fuse import FusePass

    return FusePass


def _retarget() -> type[ModulePass]:
    from steelyard.passes.retarget.retarget import RetargetPass

    return RetargetPass


def _offload() -> type[ModulePass]:
    from steelyard.passes.rematerialize.offload import OffloadPass

    return OffloadPass


def _recompute() -> type[ModulePass]:
    from steelyard.passes.rematerialize.recompute import RecomputePass

    return RecomputePass


def _schedule_memory() -> type[ModulePass]:
    from steelyard.passes.reorder.schedule_memory import ScheduleMemoryPass

    return ScheduleMemoryPass


def _shard() -> type[ModulePass]:
    from steelyard.passes.sharding.shard import ShardPass

    return ShardPass


PASSES = {
    "annotate": _annotate,
    "annotate-cost": _annotate_cost,
    "annotate-latency": _annotate_latency,
    "annotate-memory": _annotate_memory,
    "fuse": _fuse,
    "outline": _outline,
    "inline": _inline,
    "retarget": _retarget,
    "offload": _offload,
    "recompute": _recompute,
    "schedule-memory": _schedule_memory,
    "shard": _shard,
}
"""The passes by name; nothing is imported until one is called."""

STEELYARD_UNIVERSE = Universe(all_dialects=dict(DIALECTS), all_passes=dict(PASSES))
