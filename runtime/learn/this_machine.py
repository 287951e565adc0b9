"""Learning of kernel regressors on this machine's CPU, within a time budget."""

# pyright: standard

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from time import perf_counter

import torch

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.learned_models import Learned
from steelyard.runtime.learn.adaptive_sampling import learn
from steelyard.runtime.learn.kernel_families import KernelFamily
from steelyard.runtime.learn.shapes import shipped_shapes
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark
from steelyard.runtime.timing.host_cpu import cpu_model
from steelyard.runtime.timing.interleaved_rounds import time_in_rounds
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.quiet_samples import IDLE_CPUS, OtherLoad

_KERNEL_S = 0.1
"""Time to measure one kernel, over all rounds."""
_COST_S = 0.18
"""Budget per kernel: measurement, operands, and its share of fits and repeats."""


def measure(benchmarks: Sequence[Microbenchmark]) -> list[float]:
    """Return the seconds of each kernel, timed in interleaved rounds.

    The lowest decile of the rounds counts, since disturbances only make a kernel slower.
    """
    ops = [(each.runnable(), each.runnable()) for each in benchmarks]
    return [timing.low_s for timing in time_in_rounds(ops, budget_s=_KERNEL_S * len(ops))]


def learn_here(
    device: Device,
    families: Sequence[KernelFamily],
    budget_s: float,
    progress: Progress,
    warn: Callable[[str], None],
) -> Iterator[tuple[KernelFamily, Device, Learned]]:
    """Yield each family with the device extended by its regressor, and the regressor.

    Args:
        device: This machine's CPU.
        families: The kernel families.
        budget_s: Time budget for all of them together, in seconds.
        progress: Called before every batch.
        warn: Called if the machine was too busy for reliable measurements.

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
    share_s, start_s, load = budget_s / len(families), perf_counter(), OtherLoad()
    for number, family in enumerate(families, start=1):
        end_s = start_s + number * share_s
        with threads_set_to(threads):
            found = learn(
                family,
                shipped_shapes(family),
                measure,
                round(share_s / _COST_S),
                threads,
                source,
                enough=lambda end_s=end_s: perf_counter() > end_s,
                progress=progress,
            )
        types = {**device.learned.get(family.name, {}), "f32": found}
        device = replace(device, learned={**device.learned, family.name: types})
        yield family, device, found
    others_cpus = load.cpus()
    if others_cpus is not None and others_cpus > IDLE_CPUS:
        warn(
            f"other processes kept {others_cpus:.2f} CPUs busy, where {IDLE_CPUS} is the most; "
            "learn again when nothing else runs"
        )
