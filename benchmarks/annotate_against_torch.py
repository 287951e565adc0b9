"""GPT-2 training weighed by Steelyard and by torch's FlopCounterMode and MemTracker, in one process.

python benchmarks/annotate_against_torch.py
"""

from time import perf_counter

import torch
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch_private import FakeTensorMode
from steelyard.compiler.frontend.training_step import make_optimizer, training_step
from steelyard.runtime.pipeline import Target, annotate_program, load_program

SPEC = "hf:gpt2"


def ours() -> float:
    start = perf_counter()
    annotate_program(load_program(SPEC, {"train": True}), Target(device="cpu"))
    return perf_counter() - start


def torchs() -> float:
    options = CaptureOptions(train=True)
    start = perf_counter()
    with FakeTensorMode():
        built = load_spec(SPEC, options).build(fake=True)
        optimizer = make_optimizer(built.module, options)
        tracker = MemTracker()
        tracker.track_external(built.module, *([optimizer] if optimizer else []))
        with tracker, FlopCounterMode(display=False):
            training_step(built, optimizer, options)
    return perf_counter() - start


def main() -> None:
    torch.manual_seed(0)
    ours(), torchs()  # imports and caches
    pairs = [(ours(), torchs()) for _ in range(3)]
    mine, theirs = sorted(pairs, key=lambda pair: pair[0] / pair[1])[1]
    print(f"annotate {mine:.2f} s, FlopCounterMode and MemTracker {theirs:.2f} s, ratio {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
