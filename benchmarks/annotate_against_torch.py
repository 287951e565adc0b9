"""Training steps weighed by Steelyard and by torch's FlopCounterMode and MemTracker, in one process.

python benchmarks/annotate_against_torch.py
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import perf_counter

import torch
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.torch_private import FakeTensorMode
from steelyard.compiler.frontend.torch.training_step import make_optimizer, training_step
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


def compare(name: str, spec: str, repeats: int, theirs: Callable[[str], tuple[float, int]]) -> None:
    try:
        pairs = [(ours(spec), theirs(spec)) for _ in range(repeats)]
    except Exception as error:
        seconds, peak = ours(spec)
        print(f"| {name} | {seconds:.2f} s | crashes: {type(error).__name__} | | {peak:,} | |")
        return
    (mine, my_peak), (other, other_peak) = sorted(pairs, key=lambda pair: pair[0][0] / pair[1][0])[
        repeats // 2
    ]
    print(
        f"| {name} | {mine:.2f} s | {other:.2f} s | {other / mine:.1f} | {my_peak:,} | {other_peak:,} |",
        flush=True,
    )


def main() -> None:
    torch.manual_seed(0)
    ours("hf:gpt2?n_layer=1"), torchs("hf:gpt2?n_layer=1", flops=True)  # imports and caches
    print("| training step | Steelyard | torch | times faster | peak bytes, Steelyard | torch |")
    print("|---|---|---|---|---|---|")
    both, memory = partial(torchs, flops=True), partial(torchs, flops=False)
    compare("gpt2, FlopCounterMode and MemTracker", "hf:gpt2", 3, both)
    for layers in (12, 48):
        spec = f"hf:gpt2?n_layer={layers}&n_embd=256&n_head=4"
        compare(f"gpt2, {layers} layers of 256, MemTracker", spec, 1, memory)
    compare("mixtral, MemTracker", MIXTRAL, 1, memory)


if __name__ == "__main__":
    main()
