"""Peak memory of programs that a pass rewrote, predicted beside the CPU allocator's events when they run.

python benchmarks/rewritten_memory.py --passes schedule-memory          # all twelve models at real sizes
python benchmarks/rewritten_memory.py --passes fuse --tiny gpt2 vit     # small variants of some

The results are compared bit for bit with those of the program as it was captured (fused kernels: largest
difference). Shown are the peaks of both, the time that the passes take, and what no order goes below.
"""

import argparse
import gc
from statistics import fmean
from time import perf_counter
from typing import Any

import torch
from memory import MODES, ZOO
from report import Report, arguments
from xdsl.dialects.builtin import ModuleOp
from zoo import TINY
from zoo import sizes as tiny_sizes

from steelyard.compiler.frontend.model import LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.universe import PASSES
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.timing.steady_state import measure_peak_bytes


def peak(module: ModuleOp) -> int:
    """Return the predicted peak."""
    memory: Any = read_totals(module)["memory"]
    return memory["peak_bytes"]


def run(
    module: ModuleOp, model: LoadedModel, options: CaptureOptions, constants: dict[str, torch.Tensor]
) -> tuple[list[torch.Tensor], int]:
    """Return what a step of the program gives and leaves, and the peak of the next step."""
    binding = bind(*build_real(model, options), constants)
    arguments, step = order_arguments(module, binding), compile_program(module)
    torch.manual_seed(0)
    results = [value.clone() for value in step(*arguments)] + [value.clone() for value in arguments]
    gc.collect()
    return results, measure_peak_bytes(lambda: step(*arguments), binding.values())


def largest_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Return 0.0 where all are equal bit for bit."""
    return max(
        0.0 if torch.equal(a, b) else (a.double() - b.double()).abs().max().item()
        for a, b in zip(ours, theirs, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", help=", ".join(ZOO))
    parser.add_argument("--passes", default="schedule-memory", help="names of passes, with commas between")
    parser.add_argument("--tiny", action="store_true", help="small variants of the models")
    parser.add_argument("--modes", default=",".join(MODES), help="with commas between")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments())
    report = Report(
        "rewritten_memory",
        f"Peak memory after {given.passes}{', tiny variants' * given.tiny}",
        "The rewritten program runs on the CPU: its peak by the allocator's events beside the annotations "
        "that the passes left, and its results beside those of the program as captured.",
        {
            "model": "",
            "mode": "",
            "peak before": ",",
            "after": ",",
            "change": "+.1%",
            "bound of any order": ",",
            "predicted / measured": ".5f",
            "largest difference": ".2g",
            "ops": ",",
            "passes, s": ".2f",
        },
    )
    errors: list[float] = []
    for name in given.models or (TINY if given.tiny else ZOO):
        spec, sizes = (TINY[name], tiny_sizes(name)) if given.tiny else ZOO[name]
        for mode in given.modes.split(","):
            options = CaptureOptions(**sizes, **MODES[mode])
            model = load_spec(spec, options)
            program = capture(model, options)

            target = Target(device=given.device, threads=torch.get_num_threads())
            module, original = (import_program(program) for _ in range(2))
            annotate(module, target)
            before, ops = peak(module), sum(1 for _ in module.walk())
            start = perf_counter()
            for each in given.passes.split(","):
                PASSES[each]()().apply(make_context(), module)
            seconds = perf_counter() - start
            expected, _ = run(original, model, options, program.constants)
            results, measured = run(module, model, options, program.constants)
            after = peak(module)
            schedule: Any = read_totals(module).get("schedule", {})
            errors.append(after / measured - 1)
            report.add(
                name,
                mode,
                before,
                after,
                after / before - 1,
                schedule.get("bound_bytes"),
                after / measured,
                largest_difference(results, expected),
                ops,
                seconds,
            )
            del expected, results
            gc.collect()
    sizes_of_error = [abs(error) for error in errors]
    report.finish(
        f"{fmean(sizes_of_error):.3%} mean, {max(sizes_of_error):.2%} worst of {len(errors)} cases",
        "0.2% mean, 1% worst",
    )


if __name__ == "__main__":
    main()
