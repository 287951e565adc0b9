"""Predicted beside measured time of whole steps on this CPU: five models, inference and training.

    python benchmarks/cpu_accuracy.py DEVICE.toml [SPEC ...]

DEVICE.toml is what `steelyard calibrate` wrote. Every step runs in a process of its own, as under
`steelyard verify`: what an allocator has at hand depends on what ran before. It runs three
times, some minutes apart, since a virtual machine is disturbed for a minute now and then: the median ratio
counts, and all three are shown. How many CPUs others kept busy afterwards says whether it was alone.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from statistics import fmean
from time import sleep
from typing import Any

import torch
from report import Report, arguments

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.calibrate.drift import measure_drift
from steelyard.runtime.timing.quiet_samples import OtherLoad
from steelyard.runtime.timing.steady_state import measure_steady_time_s

ROUNDS = 3
SPECS = ("hf:gpt2", "hf:bert", "hf:resnet-50", "hf:mobilenet_v2", "hf:vit")


@dataclass(frozen=True, slots=True)
class Case:
    """A step, what is predicted for it, and what it takes, in milliseconds."""

    name: str
    predicted_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float
    drift: float
    others_cpus: float
    rounds: tuple["Case", ...] = ()

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_ms / self.measured_ms

    @property
    def covered(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low_ms <= self.measured_ms <= self.high_ms


def measure(device: str, spec: str, train: bool) -> Case:
    options = CaptureOptions(train=train)
    loaded = load_spec(spec, options)
    module = import_program(capture(loaded, options))
    annotate(module, Target(device=device, threads=torch.get_num_threads()))
    latency: Any = read_totals(module)["latency"]
    built, optimizer = build_real(loaded, options)
    time_s = measure_steady_time_s(lambda: run_step(built, optimizer, options), least_s=1.5)
    drift = measure_drift(load_device(device).sustained_with(torch.get_num_threads()))
    low, value, high = (latency[f"{name}_us"] / 1e3 for name in ("low", "value", "high"))
    load = OtherLoad()
    sleep(1.0)
    others_cpus = load.cpus() or 0.0
    name = f"{spec}{' --train' * train}"
    return Case(name, value, low, high, time_s * 1e3, drift.slowdown if drift else 1.0, others_cpus)


def cases(device: str, specs: tuple[str, ...]) -> Iterator[Case]:
    wanted = [(spec, train) for spec in specs for train in (False, True)]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        rounds = [[pool.submit(measure, device, *each).result() for each in wanted] for _ in range(ROUNDS)]
    for found in zip(*rounds, strict=True):
        typical = sorted(found, key=lambda case: case.ratio)[ROUNDS // 2]
        yield replace(typical, rounds=found)


def main() -> None:
    device, *specs = arguments()
    report = Report(
        "cpu_accuracy",
        "Steps on a CPU",
        "Whole steps beside the prediction by a calibration of the same machine; the median of three rounds.",
        {
            "SPEC": "",
            "predicted ms": ",.1f",
            "low": ",.1f",
            "high": ",.1f",
            "measured ms": ",.1f",
            "predicted / measured": ".2f",
            "in the interval": "",
            "drift": ".2f",
            "rounds": "",
        },
    )
    found: list[Case] = []
    for case in cases(device, tuple(specs) or SPECS):
        rounds = ", ".join(f"{each.ratio:.2f}" for each in case.rounds)
        times = case.predicted_ms, case.low_ms, case.high_ms, case.measured_ms
        report.add(case.name, *times, case.ratio, case.covered, case.drift, rounds)
        found.append(case)
    errors = [case.ratio - 1 for case in found]
    sizes = [abs(error) for error in errors]
    covered = sum(case.covered for case in found)
    report.finish(
        f"{fmean(sizes):.1%} mean, {max(sizes):.0%} worst, bias {fmean(errors):+.1%}; "
        f"{covered} of {len(found)} in their interval",
        "12% mean",
    )


if __name__ == "__main__":
    main()
