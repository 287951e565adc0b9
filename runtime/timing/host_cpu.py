"""The CPU that this process runs on, as the operating system describes it."""

import os
import platform
from pathlib import Path

from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.base.units import KIB
from steelyard.hw.devices.device import Device

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
CPU_INFO = Path("/proc/cpuinfo")
_FLAGS: dict[str, InstructionSet] = {
    "sse4_1": "sse41",
    "avx": "avx",
    "avx2": "avx2",
    "avx512bw": "avx512",
    "amx_tile": "avx512_amx",
}


def cpu_model() -> str:
    """Return the name of the CPU, as in "Intel(R) Xeon(R) Processor"."""
    return _told("model name") or platform.processor() or platform.machine()


def host_instruction_set() -> InstructionSet | None:
    """Return the vector extension whose kernels oneDNN runs; None where the operating system names none.

    It is the CPU's best, or that of the environment variable ONEDNN_MAX_CPU_ISA if that is below.
    """
    flags = _told("flags").split()
    found: InstructionSet | None = None
    allowed = _most_allowed()
    for flag, name in _FLAGS.items():
        if flag in flags:
            found = name
        if name == allowed:
            break
    return found


def _most_allowed() -> InstructionSet:
    """The instruction set up to which oneDNN may go, of values like "AVX2_VNNI" or "AVX512_CORE_AMX"."""
    value = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    first, *rest = value.upper().split("_")
    names: dict[str, InstructionSet] = {"SSE41": "sse41", "AVX": "avx", "AVX2": "avx2", "AVX512": "avx512"}
    return "avx512_amx" if first not in names or "AMX" in rest else names[first]


def _told(key: str) -> str:
    """The value of a key of the first CPU; empty where the operating system does not tell."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


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
        instruction_set=host_instruction_set(),
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
