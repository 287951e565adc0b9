"""Runs the program that was weighed and puts measurement beside prediction."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from steelyard.compiler.frontend.model import LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import capture, real_constants
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import ExecutionError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.calibrate.drift import Drift, measure_drift
from steelyard.runtime.execute.comparison import Comparison
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.program.conditions import conditions
from steelyard.runtime.program.parse_passes import parse_passes
from steelyard.runtime.timing.host_cpu import cpu_model
from steelyard.runtime.timing.malloc_settings import memory_kept
from steelyard.runtime.timing.steady_state import measure_peak_bytes, measure_steady_time_s
from steelyard.runtime.verify.agreement import disagreements


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of `verify`.

    Attributes:
        step_time_ms: Of one step, predicted and of eager PyTorch.
        peak_memory_bytes: Of tensor storage, in a step of the steady state.
        flops_ours: Of contractions (1 MAC = 2 FLOPs).
        flops_torch: As torch's counter has them; it misses attention on CPU and grouped products. None where
            it cannot count the step.
        num_ops: Kernels and views of a step.
        unknown_by_op: Those of them whose work is not known, by name; predictions are lower bounds then.
        different: Results and parameters that the program and eager PyTorch do not agree on: bit for bit, or
            within the rounding of their dtype where passes rewrote the program.
        max_abs_diff: The largest difference among them.
        tolerance: Relative deviation of time and memory that is accepted.
        drift: How far the machine is from what it was when it was calibrated, None where that is not known;
            the prediction is not corrected by it.
        machine: The CPU that was measured.
        rewritten: Whether passes changed the program.
        conditions: What was weighed and run: inputs, dtypes, dropout.
        not_compared: The reason for which the program itself could not run; eager PyTorch did.
    """

    model: str
    mode: str
    device: str
    step_time_ms: Comparison
    peak_memory_bytes: Comparison
    flops_ours: int
    flops_torch: int | None
    num_ops: int
    unknown_by_op: Mapping[str, int]
    different: tuple[str, ...]
    max_abs_diff: float
    tolerance: float
    drift: Drift | None = None
    machine: str = ""
    rewritten: bool = False
    conditions: tuple[str, ...] = ()
    not_compared: str | None = None

    @property
    def num_unknown(self) -> int:
        """The number of ops of unknown work."""
        return sum(self.unknown_by_op.values())

    @property
    def ok(self) -> bool:
        """Whether results are equal, and time and memory within the tolerance."""
        compared = (self.step_time_ms, self.peak_memory_bytes)
        agree = not self.different and self.not_compared is None
        return agree and all(abs(c.ratio - 1) <= self.tolerance for c in compared)

    def to_json(self) -> dict[str, Any]:
        """All of it as one object."""
        return {
            "model": self.model,
            "mode": self.mode,
            "device": self.device,
            "machine": self.machine,
            "conditions": list(self.conditions),
            "step_time_ms": self.step_time_ms.to_json(),
            "drift": dict(self.drift.slowdowns) if self.drift else None,
            "peak_memory_bytes": self.peak_memory_bytes.to_json(),
            "flops": {"ours": self.flops_ours, "torch": self.flops_torch},
            "coverage": {
                "ops": self.num_ops,
                "unknown": self.num_unknown,
                "unknown_by_op": dict(self.unknown_by_op),
            },
            "numerics": {
                "equal": None if self.not_compared else not self.different,
                "not_compared": self.not_compared,
                "within": "rounding of the dtype" if self.rewritten else "nothing",
                "max_abs_diff": self.max_abs_diff,
                "different": list(self.different),
            },
            "tolerance": self.tolerance,
            "ok": self.ok,
        }


def verify(
    model: LoadedModel,
    options: CaptureOptions,
    device: str,
    tolerance: float = 0.25,
    least_s: float = 3.0,
    passes: str = "",
) -> Verification:
    """Weighs one step of a model, runs it with random weights on this machine, and compares.

    Args:
        model: What to weigh.
        options: Of the step.
        device: This machine, by name or file.
        tolerance: Relative deviation that is accepted.
        least_s: How long steps are timed, at least.
        passes: What rewrites the program, as in `recompute{budget=0.4}`; then the rewritten one is weighed
            and measured, in place of eager PyTorch, and malloc keeps its memory.

    Raises:
        SteelyardError: the model cannot be captured, the device is unknown, or the program cannot run.
    """
    with memory_kept() if passes else nullcontext():
        return _verify(model, options, device, tolerance, least_s, passes)


def _verify(
    model: LoadedModel, options: CaptureOptions, device: str, tolerance: float, least_s: float, passes: str
) -> Verification:
    options = replace(options, return_grads=options.train)
    program = capture(model, options)
    module = import_program(program)
    target = Target(device=device, threads=torch.get_num_threads(), keep_memory=bool(passes))
    annotate(module, target)
    parse_passes(passes).apply(make_context(), module)
    predicted: Any = read_totals(module)

    with _running(model):
        eager, eager_optimizer = build_real(model, options)
        expected = run_step(eager, eager_optimizer, options)
    built, optimizer = build_real(model, options)
    different, not_compared = dict[str, float](), None
    try:
        constants = real_constants(program, model, options)
        arguments = order_arguments(module, bind(built, optimizer, constants))
        run = compile_program(module)
        results = run(*arguments)
        different = disagreements(eager, expected, built, results, rewritten=bool(passes))
        del results
    except Exception as error:  # of any of torch's kernels
        if passes:
            raise ExecutionError(what="the rewritten program cannot run", why=str(error)) from error
        arguments, run = [], None
        not_compared = str(error).splitlines()[0]
    del expected

    def step() -> None:
        if passes and run:
            run(*arguments)
        else:
            run_step(eager, eager_optimizer, options)

    with _running(model):
        flops_torch = _counted(lambda: run_step(eager, eager_optimizer, options))
        time_s = measure_steady_time_s(step, least_s)
        peak = measure_peak_bytes(step, arguments if passes else bind(eager, eager_optimizer).values())
    latency = predicted["latency"]
    low_ms, value_ms, high_ms = (latency[f"{each}_us"] / 1e3 for each in ("low", "value", "high"))
    return Verification(
        model=program.model,
        mode="train" if options.train else "inference",
        device=device,
        step_time_ms=Comparison(value_ms, time_s * 1e3, low_ms, high_ms),
        peak_memory_bytes=Comparison(predicted["memory"]["peak_bytes"], peak),
        flops_ours=predicted["work"]["flops"]["contraction"],
        flops_torch=flops_torch,
        num_ops=predicted["work"]["coverage"]["ops"],
        unknown_by_op=predicted["work"]["unknown_by_op"],
        different=tuple(different),
        max_abs_diff=max(different.values(), default=0.0),
        tolerance=tolerance,
        drift=measure_drift(load_device(device).sustained_with(target.threads)),
        machine=cpu_model(),
        rewritten=bool(passes),
        conditions=conditions(module),
        not_compared=not_compared,
    )


def _counted(step: Callable[[], Any]) -> int | None:
    """FLOPs by torch's counter, which decomposes some kernels; None where it cannot run the step."""
    try:
        with FlopCounterMode(display=False) as counter:
            step()
    except Exception:  # its module tracker cannot stand `autograd.grad` in a step, for one
        return None
    return counter.get_total_flops()


@contextmanager
def _running(model: LoadedModel) -> Iterator[None]:
    """Turn what the model raises when it runs for real into an error of execution."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        why, no_memory = str(error).splitlines()[0], "can't allocate memory" in str(error)
        raise ExecutionError(
            what=f"{model.spec} cannot run on this machine{': out of memory' * no_memory}",
            why=why,
            fix="take a smaller --batch, --sequence or model" if no_memory else None,
        ) from error
