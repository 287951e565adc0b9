"""The one sequence that annotates: its order, its cost, and a program after each pass that rewrites it."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.liveness import liveness_of, no_workspace
from steelyard.compiler.analysis.storages import find_storages
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.schema import parse_device
from steelyard.hw.devices.write import write_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass
from steelyard.passes.annotate.target import Target, read_target
from steelyard.passes.fusion.fuse import FusePass
from steelyard.passes.rematerialize.offload import OffloadPass
from steelyard.passes.rematerialize.recompute import RecomputePass
from steelyard.passes.reorder.schedule_memory import ScheduleMemoryPass
from steelyard.passes.retarget.retarget import RetargetPass
from steelyard.passes.sharding.shard import ShardPass
from steelyard.passes.structure.inline import InlinePass
from steelyard.passes.structure.outline import OutlinePass
from steelyard.passes.universe import PASSES

LAYERS = 6
TENSOR, WEIGHT = "tensor<512x64xf32>", "tensor<64x64xf32>"
REWRITES: dict[str, ModulePass] = {
    "fuse": FusePass(),
    "inline": InlinePass(),
    "offload": OffloadPass(budget=0.5),
    "outline": OutlinePass(),
    "recompute": RecomputePass(budget=0.5),
    "retarget": RetargetPass(device="cpu"),
    "schedule-memory": ScheduleMemoryPass(),
    "shard": ShardPass(mesh=2, strategy="data"),
}


def step(layers: int = LAYERS) -> ModuleOp:
    """A training step of layers, each a product and two pointwise ops."""
    lines: list[str] = []
    for k in range(layers):
        path = f'path = "h.{k}"'
        lines += [
            f'%x{k} = aten.mm(%y{k}, %w) {{phase = "forward", {path}}} : {TENSOR}',
            f'%s{k} = aten.sigmoid(%x{k}) {{phase = "forward", {path}}} : {TENSOR}',
            f'%y{k + 1} = aten.mul.Tensor(%s{k}, %x{k}) {{phase = "forward", {path}}} : {TENSOR}',
        ]
    lines.append(f'%g{layers} = aten.mul.Tensor(%y{layers}, %y{layers}) {{phase = "backward"}} : {TENSOR}')
    for k in reversed(range(layers)):
        path = f'phase = "backward", path = "h.{k}"'
        lines += [
            f"%a{k} = aten.mul.Tensor(%g{k + 1}, %s{k}) {{{path}}} : {TENSOR}",
            f"%b{k} = aten.mul.Tensor(%g{k + 1}, %x{k}) {{{path}}} : {TENSOR}",
            f"%c{k} = aten.sigmoid_backward(%b{k}, %s{k}) {{{path}}} : {TENSOR}",
            f"%d{k} = aten.add.Tensor(%a{k}, %c{k}) {{{path}}} : {TENSOR}",
            f"%t{k} = aten.t(%w) {{{path}}} : {WEIGHT}",
            f"%g{k} = aten.mm(%d{k}, %t{k}) {{{path}}} : {TENSOR}",
        ]
    body = "\n".join(lines)
    return parse_program(f"""builtin.module {{
      func.func @step(%y0 : {TENSOR} {{program.role = "input", program.path = "x"}},
                      %w : {WEIGHT} {{program.role = "parameter", program.path = "w"}}) -> {TENSOR} {{
        {body}
        func.return %g0 : {TENSOR} }} }}""")


def called() -> ModuleOp:
    """The same with a function for each repeated block."""
    module = step()
    OutlinePass().apply(make_context(), module)
    return module


def totals(module: ModuleOp) -> Any:
    return {name: entry for name, entry in read_totals(module).items() if name != "schedule"}


def peak_bytes(module: ModuleOp) -> int:
    return totals(module)["memory"]["peak_bytes"]


def rewritten(module: ModuleOp, rewrite: ModulePass) -> ModuleOp:
    made = module.clone()
    rewrite.apply(make_context(), made)
    return made


def first_latency_us(module: ModuleOp, name: str) -> float:
    attribute = next(op for op in module.walk() if op.name == name).attributes[LATENCY]
    assert isinstance(attribute, LatencyAttr)
    return attribute.data.value_us


def cpu_with_cache(folder: Path, cache_bytes: float) -> str:
    """A CPU on which pointwise kernels are faster where the last cache holds the whole program."""
    source = Source(title="a test", date=date(2026, 1, 1))
    rates = MeasuredRates(
        threads=8,
        memory_bandwidth_bytes_per_s=Rate(value=2e10, kind="measured", source=source),
        memory_efficiency={"pointwise": Rate(value=0.5, kind="measured", source=source)},
        resident_speedup={"pointwise": Rate(value=4.0, kind="measured", source=source)},
    )
    cache = Quantity(value=cache_bytes, kind="measured", source=source)
    file = folder / "cpu-with-cache.toml"
    write_device(file, replace(load_device("cpu"), name=file.stem, l2_bytes=cache, sustained=(rates,)))
    return str(file)


def computed(run: Callable[[], object]) -> Counter[str]:
    """How often analyses and parsed device files are computed meanwhile."""
    names = {each.__code__: each.__name__ for each in (call_graph, find_storages, liveness_of, parse_device)}
    counts = Counter[str]()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in names:
            counts[names[frame.f_code]] += 1

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return counts


def test_every_pass_is_rewriting_or_annotating():
    assert {*PASSES} - {*REWRITES} == {"annotate", "annotate-cost", "annotate-latency", "annotate-memory"}


@pytest.mark.parametrize("make", [step, called], ids=["flat", "called"])
@pytest.mark.parametrize("name", REWRITES)
def test_after_a_pass_the_annotations_are_those_of_annotating_anew(
    name: str, make: Callable[[], ModuleOp]
) -> None:
    module, rewrite = make(), REWRITES[name]
    if name == "shard":
        InlinePass().apply(make_context(), module)  # it refuses calls
    target = Target(device="h100-sxm", context="graph")
    annotate(module, target)
    rewrite.apply(make_context(), module)
    after = totals(module), format_program(module)
    annotate(module, target)
    assert (totals(module), format_program(module)) == after
    assert read_target(module) == target


@pytest.mark.parametrize("name", ["inline", "outline", "retarget", "schedule-memory", "shard"])
def test_a_pass_that_reads_no_annotation_commutes_with_annotating(name: str) -> None:
    annotated, bare = step(), step()
    target = Target(device="h100-sxm")
    annotate(annotated, target)
    REWRITES[name].apply(make_context(), annotated)
    REWRITES[name].apply(make_context(), bare)
    annotate(bare, target)
    assert totals(annotated) == totals(bare)


def test_latency_after_a_pass_follows_the_new_peak(tmp_path: Path) -> None:
    """Recompute brings the peak under the size of the last cache: what remains is faster."""
    module, rewrite = step(), RecomputePass(budget=0.6)
    annotate(module, Target())
    least, most = peak_bytes(rewritten(module, rewrite)), peak_bytes(module)
    assert least < most
    target = Target(device=cpu_with_cache(tmp_path, (least + most) / 2), context="graph")
    annotate(module, target)
    before = first_latency_us(module, "aten.mul.Tensor")
    rewrite.apply(make_context(), module)
    assert first_latency_us(module, "aten.mul.Tensor") < before
    after = totals(module)
    annotate(module, target)
    assert totals(module) == after


def test_memory_annotated_after_latency_makes_it_anew(tmp_path: Path) -> None:
    module = step()
    annotate(module, Target())
    target = Target(device=cpu_with_cache(tmp_path, peak_bytes(module)))
    late = step()
    for each in (AnnotateCostPass(), AnnotateLatencyPass(device=target.device), AnnotateMemoryPass()):
        each.apply(make_context(), late)
    annotate(module, target)
    assert totals(late) == totals(module)


def test_a_program_has_one_target() -> None:
    module = step()
    annotate(module, Target(device="h100-sxm", context="graph"))
    AnnotateLatencyPass(device="t4").apply(make_context(), module)
    anew = step()
    annotate(anew, Target(device="t4"))
    assert read_totals(module) == read_totals(anew)
    assert read_target(parse_program(format_program(module))) == Target(device="t4")


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (
            FusePass(),
            r"no annotated work and latency, which fuse reads\n.*annotate-cost and anno",
        ),
        (OffloadPass(), "no annotated work and latency, which offload reads"),
        (RecomputePass(), "no annotated work and latency, which recompute reads"),
        (
            AnnotateLatencyPass(device="cpu"),
            r"work, which annotate-latency reads\n.*annotate-cost",
        ),
        (AnnotateMemoryPass(device="cpu"), "no annotated work, which annotate-memory reads"),
    ],
)
def test_a_missing_requirement_is_an_error_that_says_what_to_run(each: ModulePass, message: str) -> None:
    with pytest.raises(IRError, match=message):
        each.apply(make_context(), step())


@pytest.mark.parametrize("make", [step, called], ids=["flat", "called"])
@pytest.mark.parametrize("page_faults", [False, True])
def test_annotate_computes_each_analysis_and_reads_each_device_once(
    make: Callable[[], ModuleOp], page_faults: bool, tmp_path: Path
) -> None:
    device = cpu_with_cache(tmp_path, 1e6)
    if page_faults:
        hardware = load_device(device)
        rates = replace(
            hardware.sustained[0],
            fresh_page_bytes_per_s=Rate(
                value=1e9, kind="measured", source=Source(title="a test", date=date(2026, 1, 1))
            ),
        )
        write_device(Path(device), replace(hardware, sustained=(rates,)))
    module = make()
    counts = computed(lambda: annotate(module, Target(device=device)))
    assert counts == {"call_graph": 1, "find_storages": 1, "liveness_of": 1, "parse_device": 1}


def test_passes_share_analyses_until_one_rewrites() -> None:
    program = Analyses(step())
    annotate(program.module, Target(device="h100-sxm"), program=program)
    storages = program.storages
    FusePass().run_on(program)
    assert program.storages is not storages
    assert computed(lambda: program.liveness(no_workspace)).keys() <= {"liveness_of"}
