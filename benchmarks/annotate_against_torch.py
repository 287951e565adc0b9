"""Training steps weighed by Steelyard and by torch's FlopCounterMode and MemTracker, in one process.

python benchmarks/annotate_against_torch.py
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import perf_counter

import torch
from report import Report
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.torch_private import FakeTensorMode
from steelyard.compiler.frontend.torch.training_step import training_step
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.program.load import load_program

MIXTRAL = (
    "hf:mixtral?hidden_size=256&intermediate_size=512&num_hidden_layers=4&num_attention_heads=8"
    "&num_key_value_heads=4"
)


def ours(spec: str) -> tuple[float, int]:
    """Return the seconds of capture and all annotations, and the peak bytes found."""
    start = perf_counter()
    module = load_program(spec, {"train": True}, flat=False)
    annotate(module, Target())
    memory = read_totals(module)["memory"]
    assert isinstance(memory, dict)
    return perf_counter() - start, memory["peak_bytes"]


def torchs(spec: str, *, flops: bool) -> tuple[float, int]:
    """Return the seconds of one step under the trackers, and the peak bytes found."""
    options = CaptureOptions(train=True)
    start = perf_counter()
    with FakeTensorMode(), ExitStack() as modes:
        built = load_spec(spec, options).build(fake=True)
        optimizer = make_optimizer(built.module, options)
        tracker = MemTracker()
        tracker.track_external(built.module, *([optimizer] if optimizer else []))
        modes.enter_context(tracker)
        if flops:
            modes.enter_context(FlopCounterMode(display=False))
        training_step(built, optimizer, options)
    return perf_counter() - start, tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]


def compare(
    report: Report, name: str, spec: str, repeats: int, theirs: Callable[[str], tuple[float, int]]
) -> float | None:
    """Report a training step, and return how many times faster it is annotated; None where torch fails."""
    try:
        pairs = [(ours(spec), theirs(spec)) for _ in range(repeats)]
    except Exception as error:
        seconds, peak = ours(spec)
        report.add(name, seconds, f"fails: {type(error).__name__}", None, peak, None)
        return None
    (mine, my_peak), (other, other_peak) = sorted(pairs, key=lambda pair: pair[0][0] / pair[1][0])[
        repeats // 2
    ]
    report.add(name, mine, other, other / mine, my_peak, other_peak)
    return other / mine


def main() -> None:
    torch.manual_seed(0)
    ours("hf:gpt2?n_layer=1"), torchs("hf:gpt2?n_layer=1", flops=True)  # imports and caches
    report = Report(
        "annotate_against_torch",
        "Annotation beside torch's trackers",
        "Capture and all annotations of a training step beside FlopCounterMode and MemTracker, pairs within "
        "one process.",
        {
            "training step": "",
            "Steelyard, s": ".2f",
            "torch, s": ".2f",
            "times faster": ".1f",
            "peak bytes": ",",
            "torch's peak bytes": ",",
        },
    )
    both, memory = partial(torchs, flops=True), partial(torchs, flops=False)
    compare(report, "gpt2, FlopCounterMode and MemTracker", "hf:gpt2", 3, both)
    compare(report, "mixtral, MemTracker", MIXTRAL, 1, memory)
    for layers in (12, 48):
        spec = f"hf:gpt2?n_layer={layers}&n_embd=256&n_head=4"
        faster = compare(report, f"gpt2, {layers} layers of 256, MemTracker", spec, 1, memory)
    report.finish(f"{faster:.1f} times faster at 48 layers", "20 times faster at 48 layers")


if __name__ == "__main__":
    main()
