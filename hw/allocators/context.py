"""Context overhead: device memory held by driver and libraries before any tensor, by device and CUDA version.

The figures are reports of single cards. Kernel code is the largest part; since CUDA 11.7 kernels are loaded
lazily, so newer versions take less. Devices with more SMs take more.
"""

from dataclasses import dataclass

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import GIB, MIB
from steelyard.hw.devices.device import Device

Version = tuple[int, int]

LAZY: Version = (11, 7)
"""From this version on kernels are loaded when they are first run (pytorch pull request 86509)."""
_LAST_VERSION: dict[str, Version] = {"3.5": (11, 8), "3.7": (11, 8), "5.3": (10, 2), "6.2": (10, 2)}
"""The last CUDA for a compute capability; of Jetson Nano and TX2 that of JetPack 4.6, their last."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Bytes of a device that are unavailable to tensors: value, low and high."""

    value: int
    low: int
    high: int

    def __add__(self, other: "Overhead") -> "Overhead":
        return Overhead(self.value + other.value, self.low + other.low, self.high + other.high)


_NOTHING = Overhead(0, 0, 0)
_LAZY = Overhead(300 * MIB, 200 * MIB, 600 * MIB)
"""274 MiB in pytorch pull request 86509, 300 MB in its issue 107667, 400 MB in 109888; the ends are wider,
since cuBLAS and cuDNN load kernels as a model needs them."""
_WHOLE: dict[str, Overhead] = {
    "3": Overhead(500 * MIB, 200 * MIB, 750 * MIB),
    "7.0": Overhead(1005 * MIB, 850 * MIB, 1200 * MIB),
    "7.5": Overhead(877 * MIB, 750 * MIB, 1050 * MIB),
    "8": Overhead(1486 * MIB, 1000 * MIB, 1700 * MIB),
}
"""All kernels at once, by compute capability or its generation, from issues of pytorch: a K40 with 200 to
700 MB (28113, CUDA 10.1), a Titan V with 1,008 MB of which 2 are cache (28394), an RTX 2080 Ti with 1,035 MiB
and an RTX 3090 with 1,644 MiB, of which 158 are tensors (49877, CUDA 10.1 and 11.0). The ends are guesses."""
_WHOLE_ELSEWHERE = Overhead(900 * MIB, 500 * MIB, 1500 * MIB)
_SHARED_SYSTEM = Overhead(1536 * MIB, GIB, 2 * GIB)
"""Of memory that a board's CPU shares: its system leaves 6 to 7 of 8 GiB (jetson-tx2.toml)."""


def context_overhead(device: Device, cuda: Version | None = None) -> Overhead:
    """Return the memory held by driver and libraries, and by the system where it shares the device's memory.

    Args:
        device: The overhead of a CPU is 0; other vendors' accelerators are assumed to load kernels lazily.
        cuda: The version of CUDA; None for the newest one that supports the device.

    Raises:
        UsageError: That version does not support the device.
    """
    if device.kind == "cpu":
        return _NOTHING
    capability = device.compute_capability or ""
    last = _LAST_VERSION.get(capability)
    if cuda and last and cuda > last:
        raise UsageError(
            what=f"{device.name} has no CUDA {cuda[0]}.{cuda[1]}",
            why=f"the last version for compute capability {capability} is {last[0]}.{last[1]}",
        )
    version = cuda or last or LAZY
    generation = capability.partition(".")[0]
    whole = _WHOLE.get(capability) or _WHOLE.get(generation) or _WHOLE_ELSEWHERE
    context = _LAZY if version >= LAZY else whole
    return context + _SHARED_SYSTEM if device.kind == "soc" else context


def parse_version(text: str) -> Version:
    """Read a version such as "11.8".

    Raises:
        UsageError: It is none.
    """
    major, dot, minor = text.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        raise UsageError(what=f"{text!r} is no version of CUDA", fix='write it as in "11.8"')
    return int(major), int(minor)
