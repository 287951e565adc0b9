"""Offload under budgets of memory: peak predicted beside measured on this CPU, with the prices of a GPU.

python benchmarks/offload.py "hf:gpt2" h100-sxm 0.9 0.7   # rows of a table; budgets are parts of the peak
"""

import argparse
import gc
from typing import Any

from report import Report, arguments

from steelyard.compiler.analysis.op_facts import size_bytes
from steelyard.compiler.dialects.host import HostType
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.rematerialize.offload import OffloadPass
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments
from steelyard.runtime.timing.steady_state import measure_peak_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("spec")
    parser.add_argument("device")
    parser.add_argument("budgets", nargs="+", type=float)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args(arguments())
    options = CaptureOptions(train=True, batch=given.batch)
    model = load_spec(given.spec, options)
    program = capture(model, options)
    module = import_program(program)
    annotate(module, Target(device=given.device))
    binding = bind(*build_real(model, options), program.constants)
    before: Any = read_totals(module)
    report = Report(
        "offload",
        "Optimizer state on the host",
        f"{given.spec} with AdamW, batch {given.batch}, f32; budgets are parts of the peak of a step. The "
        f"peak is measured on the CPU, the extra time is predicted for {given.device}.",
        {
            "budget": ".0%",
            "on the host, bytes": ",",
            "predicted peak": ",",
            "measured peak": ",",
            "extra ms": ".2f",
        },
    )
    errors = list[float]()
    for budget in (1.0, *given.budgets):
        made = module.clone()
        try:
            OffloadPass(budget_bytes=int(budget * before["memory"]["peak_bytes"])).apply(make_context(), made)
        except UsageError as error:
            report.add(budget, f"{error.what}; {error.why}", None, None, None)
            continue
        types = [value.type for value in entry_function(made).body.block.args]
        hosted = sum(size_bytes(each.tensor) for each in types if isinstance(each, HostType))
        tensors, run = order_arguments(made, binding), compile_program(made)
        run(*tensors)
        gc.collect()
        measured = measure_peak_bytes(lambda run=run, tensors=tensors: run(*tensors), tensors)
        after: Any = read_totals(made)
        more_us = after["latency"]["value_us"] - before["latency"]["value_us"]
        peak = after["memory"]["peak_bytes"]
        report.add(budget, hosted, peak, measured, more_us / 1e3)
        errors.append(abs(peak / measured - 1))
    report.finish(f"peak {max(errors):.2%} off at the most")


if __name__ == "__main__":
    main()
