"""Learning on this machine's CPU: what runs kernels here, and for how long."""

# pyright: standard

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from time import perf_counter

import torch

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.learned_models import Learned
from steelyard.runtime.learn.adaptive_sampling import Progress, learn
from steelyard.runtime.learn.kernel_families import Group
from steelyard.runtime.learn.shapes import shipped_shapes
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark
from steelyard.runtime.timing.host_cpu import cpu_model
from steelyard.runtime.timing.interleaved_rounds import time_in_rounds
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.quiet_samples import IDLE_CPUS, OtherLoad

_KERNEL_S = 0.1
"""How long to measure one kernel, in all rounds together."""
_COST_S = 0.18
"""What one kernel costs of the budget: its operands, its part of the fits, and its part of the repeats."""


def measure(benchmarks: Sequence[Microbenchmark]) -> list[float]:
    """Return the seconds of each kernel, timed in rounds among the others.

    The lowest decile of the rounds counts, since what disturbs a kernel only makes it slower.
    """
    ops = [(each.runnable(), each.runnable()) for each in benchmarks]
    return [timing.low_s for timing in time_in_rounds(ops, budget_s=_KERNEL_S * len(ops))]


def learn_here(
    device: Device,
    groups: Sequence[Group],
    budget_s: float,
    progress: Progress,
    warn: Callable[[str], None],
) -> Iterator[tuple[Group, Device, Learned]]:
    """Yield each group with the device that knows it too, and what was learned.

    Args:
        device: This machine's CPU.
        groups: What to learn.
        budget_s: How long all of them may take together.
        progress: Told before every batch.
        warn: Told if the machine was too busy for what was measured to be trusted.

    Raises:
        DeviceError: The device is no CPU.
        UsageError: The budget is too small, or scikit-learn is missing.
    """
    if device.kind != "cpu":
        raise DeviceError(
            what=f"kernels of {device.name} cannot be learned on this machine",
            why=f"it is a {device.kind}, and learning measures this machine's CPU",
            fix="name this machine's CPU, such as --device cpu or the file that `steelyard calibrate` wrote",
        )
    threads = (device.sustained_with(None).threads if device.sustained else None) or torch.get_num_threads()
    source = Source(title=f"learn on {cpu_model()}, torch {torch.__version__}", date=date.today())
    share_s, start_s, load = budget_s / len(groups), perf_counter(), OtherLoad()
    for number, group in enumerate(groups, start=1):
        end_s = start_s + number * share_s
        with threads_set_to(threads):
            found = learn(
                group,
                shipped_shapes(group),
                measure,
                round(share_s / _COST_S),
                threads,
                source,
                enough=lambda end_s=end_s: perf_counter() > end_s,
                progress=progress,
            )
        types = {**device.learned.get(group.name, {}), "f32": found}
        device = replace(device, learned={**device.learned, group.name: types})
        yield group, device, found
    others_cpus = load.cpus()
    if others_cpus is not None and others_cpus > IDLE_CPUS:
        warn(
            f"other processes kept {others_cpus:.2f} CPUs busy, where {IDLE_CPUS} is the most; "
            "learn again when nothing else runs"
        )
