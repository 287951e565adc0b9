"""Live bytes op by op: predicted allocations beside the CPU allocator's own events.

python benchmarks/memory_events.py gpt2 vit --train

Allocations of at least a thousandth of the peak are aligned by size; shown is how many of them both have, and
how far the live bytes are apart after each. Of what a convolution takes itself only the peak is predicted,
so that its own events have no counterpart.
"""

import argparse
import gc
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any

import torch
from memory import ZOO
from report import Report, arguments
from torch.profiler import ProfilerActivity, profile

from steelyard.compiler.analysis.allocation_trace import allocations
from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.op_cost.workspace import CpuWorkspace
from steelyard.runtime.timing.host_cpu import host_instruction_set


def predicted(spec: str, options: CaptureOptions) -> tuple[int, list[int]]:
    """Return the resident bytes and what a step allocates and frees, in order."""
    module = import_program(capture(load_spec(spec, options), options))
    annotate(module, Target())
    workspace = CpuWorkspace(host_instruction_set(), torch.get_num_threads())
    events = [*allocations(Analyses(module), workspace)]
    return sum(e.bytes for e in events if not e.at), [e.bytes for e in events if e.at and e.bytes]


def measured(spec: str, options: CaptureOptions) -> list[int]:
    """Return what a step of eager PyTorch allocates and frees, in order; the second step."""
    built, optimizer = build_real(load_spec(spec, options), options)
    run_step(built, optimizer, options)
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        run_step(built, optimizer, options)
    kineto: Any = run.profiler
    events = [event for event in kineto.kineto_results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", help=", ".join(ZOO))
    parser.add_argument("--train", action="store_true")
    given = parser.parse_args(arguments())
    report = Report(
        "memory_events",
        "Allocations one by one",
        f"Predicted allocations of {'a training' if given.train else 'an inference'} step beside the CPU "
        "allocator's events, those of at least a thousandth of the peak; how far the live bytes are apart "
        "after each, in parts of the peak.",
        {
            "model": "",
            "predicted": ",",
            "measured": ",",
            "in common": ".1%",
            "apart, median": ".3%",
            "most": ".2%",
            "predicted peak": ",",
            "measured peak": ",",
        },
    )
    most = 0.0
    for name in given.models or ZOO:
        spec, sizes = ZOO[name]
        options = CaptureOptions(**sizes, train=given.train)
        resident, ours = predicted(spec, options)
        theirs = measured(spec, options)
        mine, real = (list(accumulate(each, initial=resident))[1:] for each in (ours, theirs))
        least = max(real) / 1000
        large = [[i for i, size in enumerate(each) if size >= least] for each in (ours, theirs)]
        sizes_ = [[each[i] for i in places] for each, places in zip((ours, theirs), large, strict=True)]
        blocks = SequenceMatcher(None, *sizes_, autojunk=False).get_matching_blocks()
        pairs = [(large[0][b.a + i], large[1][b.b + i]) for b in blocks for i in range(b.size)]
        apart = sorted(abs(mine[a] - real[b]) / max(real) for a, b in pairs)
        report.add(
            name,
            len(large[0]),
            len(large[1]),
            len(pairs) / len(large[1]),
            apart[len(apart) // 2],
            apart[-1],
            max(mine),
            max(real),
        )
        most = max(most, apart[-1])
    report.finish(f"live bytes apart by {most:.2%} of the peak at the most")


if __name__ == "__main__":
    main()
