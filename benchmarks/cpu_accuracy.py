"""Predicted beside measured time of whole steps on this CPU: five models, inference and training.

    python benchmarks/cpu_accuracy.py [DEVICE.toml]

Without a file the CPU is calibrated first. Every step is measured twice, in two passes over all cases. What a
product of two matrices takes before each, and how many CPUs other processes keep busy meanwhile, say whether
the machine was its usual self: run it with nothing beside it.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch

from steelyard.compiler.frontend.capture import capture
from steelyard.compiler.frontend.import_graph import import_program
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.training_step import build_real, run_step
from steelyard.hw.device_file import write_device
from steelyard.runtime.calibrate import calibrate
from steelyard.runtime.measure import measure_steady_time_s
from steelyard.runtime.microbench import typical_s
from steelyard.runtime.other_load import OtherLoad
from steelyard.runtime.pipeline import Target, annotate_program, step_time_us

MODELS = ("gpt2", "bert", "resnet-50", "mobilenet_v2", "vit")
PASSES = 2
REFERENCE_SIZE = 512


@dataclass(frozen=True, slots=True)
class Case:
    """A step, what is predicted for it, and what runs it."""

    name: str
    predicted_ms: float
    step: Callable[[], object]


def cases(device: str) -> Iterator[Case]:
    for model in MODELS:
        for train in (False, True):
            options = CaptureOptions(train=train)
            loaded = load_spec(f"hf:{model}", options)
            module = import_program(capture(loaded, options))
            annotate_program(module, Target(device=device, threads=torch.get_num_threads()))
            built, optimizer = build_real(loaded, options)
            name = f"{model}{' --train' * train}"
            yield Case(name, step_time_us(module) / 1e3, partial(run_step, built, optimizer, options))


def reference_us() -> float:
    left, right = (torch.rand(REFERENCE_SIZE, REFERENCE_SIZE) for _ in range(2))
    return typical_s(lambda: torch.mm(left, right)) * 1e6


def main() -> None:
    print(f"reference product before: {reference_us():.0f} us")
    with TemporaryDirectory() as folder:
        device = sys.argv[1] if len(sys.argv) > 1 else str(Path(folder) / "local.toml")
        if len(sys.argv) == 1:
            write_device(device, calibrate((torch.get_num_threads(),), warn=print))
        deviations = [_measure(device) for _ in range(PASSES)]
    for number, each in enumerate(deviations, 1):
        sizes = [abs(deviation) for deviation in each]
        print(f"pass {number}: mean {fmean(sizes):.1%}, largest {max(sizes):.1%}, bias {fmean(each):+.1%}")


def _measure(device: str) -> list[float]:
    print(f"{'SPEC':22}{'predicted ms':>13}{'measured ms':>13}{'ratio':>7}{'reference us':>14}{'others':>8}")
    deviations: list[float] = []
    for case in cases(device):
        reference, load = reference_us(), OtherLoad()
        measured_ms = measure_steady_time_s(case.step, least_s=1.0) * 1e3
        ratio = case.predicted_ms / measured_ms
        deviations.append(ratio - 1)
        times = f"{case.predicted_ms:13.1f}{measured_ms:13.1f}{ratio:7.2f}{reference:14.0f}"
        print(f"{case.name:22}{times}{load.cpus() or 0.0:8.2f}", flush=True)
    return deviations


if __name__ == "__main__":
    main()
