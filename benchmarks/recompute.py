"""Recomputation under budgets of memory: peak and extra time, predicted beside measured on this CPU.

python benchmarks/recompute.py profile gpt2-medium 0.9 0.3    # measures the ops, also those that run again
python benchmarks/recompute.py peaks gpt2-medium 0.9 0.3      # peak bytes
python benchmarks/recompute.py times gpt2-medium 0.9 0.3      # extra time, of a machine that is idle
python benchmarks/recompute.py baselines gpt2-medium          # ours at the peak of each, on paper
python benchmarks/recompute.py torch gpt2-medium 0.5 0.1      # torch's partitioner, and ours at its peak
python benchmarks/recompute.py layers                         # how long 80 layers take to solve

The profile is the one that STEELYARD_PROFILES names.
"""

import argparse
import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from operator import attrgetter
from statistics import fmean, median
from time import perf_counter
from typing import Any

import torch
from report import Report, arguments
from time_marked_ops import times_marked_s
from torch._functorch import config as functorch  # activation_memory_budget, as in torch 2.11 to 2.13
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.op_signature import op_signature
from steelyard.compiler.analysis.storages import find_storages
from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.latency.profile_store import local_store
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.op_cost.workspace import no_workspace
from steelyard.passes.rematerialize.activation_graph import read_graph
from steelyard.passes.rematerialize.candidate_plans import BASELINES, cheapest, make_plans
from steelyard.passes.rematerialize.evaluate_plan import PlanEvaluator
from steelyard.passes.rematerialize.recomputable import RECOMPUTED
from steelyard.passes.rematerialize.recompute import RecomputePass
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.profile.profile import profile
from steelyard.runtime.program.load import load_costed, load_program
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.quiet_samples import OtherLoad
from steelyard.runtime.timing.steady_state import measure_peak_bytes

MODELS = {
    "gpt2-small": ("hf:gpt2", {"batch": 2, "sequence": 512}),
    "gpt2-medium": ("hf:gpt2?n_layer=24&n_embd=1024&n_head=16", {"batch": 4, "sequence": 512}),
    "gpt2-medium-short": ("hf:gpt2?n_layer=24&n_embd=1024&n_head=16", {"batch": 2, "sequence": 512}),
    "llama-1b": (
        "hf:llama?hidden_size=2048&intermediate_size=5632&num_hidden_layers=22&num_attention_heads=32"
        "&num_key_value_heads=4&vocab_size=32000",
        {"batch": 2, "sequence": 1024, "dtype": "bfloat16"},
    ),
}
LAYERS = (
    "hf:llama?hidden_size=8192&intermediate_size=28672&num_hidden_layers=80&num_attention_heads=64"
    "&num_key_value_heads=8&vocab_size=128256"
)
_REPEATS = 19
_WARM_STEPS, _TIMED_STEPS = 2, 3
_MIB = 2**20


class Case:
    """A training step without an optimizer, whose state only adds to both sides; and a model that runs it."""

    def __init__(self, name: str, device: str, keep_memory: bool = True) -> None:
        self.name = name
        spec, sizes = MODELS[name]
        self.options = CaptureOptions(train=True, optimizer="none", **sizes)
        model = load_spec(spec, self.options)
        program = capture(model, self.options)
        self.module = import_program(program)
        target = Target(device=device, threads=torch.get_num_threads(), keep_memory=keep_memory)
        annotate(self.module, target)
        self.built, _ = build_real(model, self.options)
        binding = bind(self.built, None, program.constants)
        self.arguments = order_arguments(self.module, binding)

    def plan(self, **budget: Any) -> ModuleOp:
        module = self.module.clone()
        RecomputePass(**budget).apply(make_context(), module)
        return module

    def peak_bytes(self, run: Callable[[], Any]) -> int:
        gc.collect()
        return measure_peak_bytes(run, [*self.arguments, *self.built.module.parameters()])

    def evaluator(self) -> PlanEvaluator:
        flat = find_storages(call_graph(self.module))["step"]
        return PlanEvaluator(read_graph(flat, OpInfoCache(), no_workspace))


def predicted(module: ModuleOp) -> tuple[float, int]:
    """Return the seconds and the peak bytes that a program is annotated with."""
    totals: Any = read_totals(module)
    return totals["latency"]["value_us"] * 1e-6, totals["memory"]["peak_bytes"]


@dataclass(frozen=True)
class Call:
    """An op that ran again: its signature, and its seconds predicted and measured."""

    signature: str
    predicted_s: float
    taken_s: float


def predicted_op_s(op: Operation) -> float:
    """Return the seconds of an op by its annotations."""
    latency = op.attributes.get(LATENCY)
    return latency.data.value_us * 1e-6 if isinstance(latency, LatencyAttr) else 0.0


def seconds(run: Callable[[], Any]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def measure_ops(name: str, device: str, budgets: Sequence[float]) -> None:
    """Measure the ops of a step, then what is new of the steps that recompute: its operands lie elsewhere."""
    spec, sizes = MODELS[name]
    module = load_costed(spec, {"train": True, "optimizer": "none", **sizes})
    measure_missing(f"{name}, without", module, device)
    annotate(module, Target(device=device, threads=torch.get_num_threads(), keep_memory=True))
    for budget in budgets:
        rewritten = module.clone()
        RecomputePass(budget=budget).apply(make_context(), rewritten)
        measure_missing(f"{name}, {budget:.0%}", rewritten, device)


def measure_missing(label: str, module: ModuleOp, device: str) -> None:
    store = local_store()
    assert store is not None, "STEELYARD_PROFILES is empty"
    found = profile(module, load_device(device), store, _REPEATS)
    print(
        f"{label}: {found.new} ops measured, {len(found.ops)} in all, {len(found.failed)} failed", flush=True
    )


def measure_peaks(name: str, device: str, budgets: Sequence[float]) -> None:
    case = Case(name, device)
    report = Report(
        "recompute_peaks",
        "Peak memory of recomputation",
        f"{name}, forward and backward, by the CPU allocator's events; a budget is a share of what "
        "activations add to the peak.",
        {"model": "", "budget": "", "predicted bytes": ",", "measured bytes": ",", "solved in s": ".1f"},
    )
    errors = list[float]()
    for budget in (None, *budgets):
        start = perf_counter()
        module = case.module if budget is None else case.plan(budget=budget)
        solved_s = perf_counter() - start
        run, peak = compile_program(module), predicted(module)[1]
        measured = case.peak_bytes(lambda run=run: run(*case.arguments))
        label = "without" if budget is None else f"{budget:.0%}"
        report.add(name, label, peak, measured, solved_s)
        errors.append(abs(peak / measured - 1))
    report.finish(f"{max(errors):.2%} off at the most in {len(errors)} cases")


def measure_time(name: str, device: str, budget: float, keep_memory: bool) -> tuple[float, ...]:
    """Return the figures of one budget, once steps are alike; in a process of its own, since its heap counts.

    They are the seconds predicted and measured, their ratio, the seconds of the step, and the CPUs that
    others kept busy. Equal ops count with the median of all their calls in all steps: a machine that is lent
    out in slices stops an op of half a ms for several.
    """
    with memory_kept() if keep_memory else nullcontext():
        case = Case(name, device, keep_memory)
        module = case.plan(budget=budget)
        run = compile_program(module)
        for _ in range(_WARM_STEPS):
            run(*case.arguments)
        calls, step_s, load = list[Call](), list[float](), OtherLoad()
        for _ in range(_TIMED_STEPS):
            start = perf_counter()
            calls += marked_calls(module, case.arguments)
            step_s.append(perf_counter() - start)
        other_cpus = load.cpus() or 0.0
    predicted_s = typical_s(calls, attrgetter("predicted_s"))
    taken_s = typical_s(calls, attrgetter("taken_s"))
    return predicted_s, taken_s, predicted_s / taken_s, median(step_s), other_cpus


def marked_calls(module: ModuleOp, arguments: Sequence[Any]) -> list[Call]:
    """Run a step and return the calls of the ops that run again."""
    reader, ops = OpInfoCache(), list[Operation]()
    taken_s = times_marked_s(module, arguments, RECOMPUTED, before=ops.append)
    calls = list[Call]()
    for op, time_s in zip(ops, taken_s, strict=True):
        assert isinstance(op, TorchOp), "nothing is fused here"
        calls.append(Call(op_signature(op, reader), predicted_op_s(op), time_s))
    return calls


def typical_s(calls: Sequence[Call], seconds_of: Callable[[Call], float]) -> float:
    """Return the seconds of a step, in which equal ops take the median of their calls."""
    by_op: dict[str, list[float]] = {}
    for call in calls:
        by_op.setdefault(call.signature, []).append(seconds_of(call))
    return sum(len(each) * median(each) for each in by_op.values()) / _TIMED_STEPS


def measure_times(name: str, device: str, budgets: Sequence[float], keep_memory: bool) -> None:
    report = Report(
        "recompute_times",
        "Time of recomputed ops",
        "Ops that run again: the profile's prediction beside their time within a step.",
        {
            "model": "",
            "budget": ".0%",
            "predicted s": ".3f",
            "measured s": ".3f",
            "predicted / measured": ".2f",
            "step, s": ".1f",
            "CPUs busy with others": ".2f",
        },
    )
    errors = list[float]()
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for budget in budgets:
            found = pool.submit(measure_time, name, device, budget, keep_memory).result()
            report.add(name, budget, *found)
            errors.append(abs(found[2] - 1))
    report.finish(f"{fmean(errors):.0%} mean, {max(errors):.0%} worst", "15%")


def compare_baselines(name: str, device: str) -> None:
    evaluator = Case(name, device).evaluator()
    plans = make_plans(evaluator)
    floor = evaluator.floor_bytes()
    none = next(plan for plan in plans if plan.name == "none")
    report = Report(
        "recompute_baselines",
        "Recomputation beside its baselines",
        "Extra time of a step, as predicted, at the peak of each baseline.",
        {
            "model": "",
            "baseline": "",
            "peak, MiB": ",.1f",
            "of the activations": ".1%",
            "extra, s": ".3f",
            "ours, s": ".3f",
            "our peak, MiB": ",.1f",
        },
    )
    slower = 0
    for plan in plans:
        if plan.name in BASELINES:
            share = (plan.peak_bytes - floor) / (none.peak_bytes - floor)
            ours = cheapest(plans, plan.peak_bytes)
            assert ours is not None
            costs_s = plan.cost_us * 1e-6, ours.cost_us * 1e-6
            report.add(name, plan.name, plan.peak_bytes / _MIB, share, *costs_s, ours.peak_bytes / _MIB)
            slower += ours.cost_us > plan.cost_us
    report.finish(f"slower than {slower} of {len(BASELINES)} baselines", "0")


def compare_torch(name: str, device: str, budgets: Sequence[float]) -> None:
    case = Case(name, device)
    eager_s = min(seconds(lambda: run_step(case.built, None, case.options)) for _ in range(2))
    report = Report(
        "recompute_torch",
        "Recomputation beside torch's partitioner",
        f"A step of {name} at the peak that activation_memory_budget leads to (AOT, without fusion); "
        f"{eager_s:.2f} s without recomputation.",
        {"budget": "", "torch, MiB": ",.1f", "torch, s": ".2f", "ours, MiB": ",.1f", "ours, s": ".2f"},
    )
    faster = list[float]()
    plain = case.built.module.forward
    for budget in budgets:
        torch.compiler.reset()
        with functorch.patch(activation_memory_budget=budget):
            case.built.module.forward = torch.compile(plain, backend="aot_eager_decomp_partition")
            step = stepper(case.built, case.options)
            step()
            theirs_s = seconds(step)
            peak = case.peak_bytes(step)
        case.built.module.forward = plain
        try:
            module = case.plan(budget_bytes=peak)
        except UsageError as error:  # no plan of ours is as lean
            report.add(budget, peak / _MIB, theirs_s, error.what, None)
            continue
        run = compile_program(module)
        run(*case.arguments)
        ours_s = seconds(lambda run=run: run(*case.arguments))
        report.add(budget, peak / _MIB, theirs_s, predicted(module)[1] / _MIB, ours_s)
        faster.append(theirs_s / ours_s)
    report.finish(f"{min(faster):.2f} to {max(faster):.2f} times faster at the same peak")


def stepper(built: BuiltModel, options: CaptureOptions) -> Callable[[], Any]:
    return lambda: run_step(built, None, options)


def solve_layers() -> None:
    module = load_program(LAYERS, {"train": True, "sequence": 4096, "dtype": "bfloat16"})
    annotate(module, Target(device="h100-sxm"))
    start = perf_counter()
    flat = find_storages(call_graph(module))["step"]
    plans = make_plans(PlanEvaluator(read_graph(flat, OpInfoCache(), no_workspace)))
    solved_s = perf_counter() - start
    start = perf_counter()
    RecomputePass(budget=0.3).apply(make_context(), module)
    print(f"80 layers: {len(plans)} plans in {solved_s:.1f} s; the whole pass {perf_counter() - start:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=["profile", "peaks", "times", "baselines", "torch", "layers"])
    parser.add_argument("model", nargs="?", choices=MODELS, default="gpt2-small")
    parser.add_argument("budgets", nargs="*", type=float, default=[0.9, 0.6, 0.3])
    parser.add_argument("--device", default="cpu", help="this machine: the file that calibrate wrote")
    parser.add_argument("--as-it-is", action="store_true", help="times: malloc gives memory back meanwhile")
    given = parser.parse_args(arguments())
    match given.what:
        case "profile":
            measure_ops(given.model, given.device, given.budgets)
        case "peaks":
            measure_peaks(given.model, given.device, given.budgets)
        case "times":
            measure_times(given.model, given.device, given.budgets, not given.as_it_is)
        case "baselines":
            compare_baselines(given.model, given.device)
        case "torch":
            compare_torch(given.model, given.device, given.budgets)
        case _:
            solve_layers()


if __name__ == "__main__":
    main()
