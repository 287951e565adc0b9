"""Times of a sweep's kernels: measured on this machine's CPU, or predicted for a device."""

# pyright: standard

from collections.abc import Sequence

import torch

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.progress import Progress
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.ladder import Ladder
from steelyard.runtime.learn.kernel_families import Config, KernelFamily
from steelyard.runtime.timing.interleaved_rounds import ROUNDS, time_in_rounds
from steelyard.runtime.timing.microbench import threads_set_to


def measured_s(
    family: KernelFamily, configs: Sequence[Config], budget_s: float, progress: Progress
) -> list[float]:
    """Return the lowest decile of the seconds of each kernel, timed in rounds among the others.

    Args:
        family: Their kernel family.
        configs: Their sizes.
        budget_s: Time after which no further round is begun, after the first five.
        progress: Called before each round, and at the end.
    """
    done = 0

    def tell() -> None:
        nonlocal done
        progress(done, ROUNDS, f"timing {len(configs)} kernels")
        done += 1

    with threads_set_to(torch.get_num_threads()):
        benchmarks = [family.microbenchmark(config) for config in configs]
        found = time_in_rounds([(each.runnable(), each.runnable()) for each in benchmarks], tell, budget_s)
    progress(ROUNDS, ROUNDS, "done")
    return [timing.low_s for timing in found]


def predicted_s(device: Device, family: KernelFamily, configs: Sequence[Config]) -> list[float]:
    """Return the ladder's estimate of each kernel, eager, without host time.

    Raises:
        DeviceError: The device lacks what the work needs.
    """
    ladder = Ladder(device, ExecutionContext(host_overhead=False))
    return ladder.price(family.queries(configs)).value_s.tolist()
