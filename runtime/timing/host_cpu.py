"""What the operating system says about the CPU that this process runs on."""

import os
import platform
from pathlib import Path

from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.base.units import KIB
from steelyard.hw.devices.device import Device

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def cpu_model() -> str:
    """Return the name of the CPU, as in "Intel(R) Xeon(R) Processor"."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_cpus() -> int:
    """Return how many CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def host_device(name: str, source: Source) -> Device:
    """Return the local CPU with what the operating system tells, and nothing on how fast it is."""

    def told(value: float, note: str) -> Quantity:
        return Quantity(value=value, kind="measured", source=source, note=note)

    cache_bytes = last_cache_bytes()
    return Device(
        name=name,
        title=cpu_model(),
        vendor="generic",
        kind="cpu",
        architecture=platform.machine(),
        memory_kind="ddr",
        compute_units=told(usable_cpus(), "CPUs that the process may run on"),
        memory_capacity_bytes=told(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "of the operating system"
        ),
        l2_bytes=told(cache_bytes, "the last cache") if cache_bytes else None,
    )


def last_cache_bytes() -> int | None:
    """Return the size of the largest cache, None where the operating system does not tell."""
    sizes = [path.read_text(encoding="utf-8").strip() for path in _CACHES.glob("index*/size")]
    return max((int(size.removesuffix("K")) * KIB for size in sizes if size.endswith("K")), default=None)
