"""Typical efficiency factors: default ratios of sustained to peak rate, for gaps in a device file.

These are the only such defaults in Steelyard. A latency that uses one of them has the source `analytic`.
"""

from steelyard.hw.devices.device import Device, DeviceKind, MemoryKind
from steelyard.hw.devices.measured_rates import PeakDType

MEMORY_FRACTION: dict[MemoryKind, float] = {"hbm": 0.90, "gddr": 0.80, "lpddr": 0.75, "ddr": 0.75}
"""Streaming rate over pin rate. hbm: the best streams on V100, A100 and H100 reach 88 to 93 %. gddr: between
the 75 % that Habitat's devices.yml (5f01e52) measured on T4 and that. lpddr, ddr: assumed, as T4."""

VECTOR_FRACTION = 0.75
"""Sustained over peak arithmetic of vector lanes; torch.distributed._tools.runtime_estimator takes it too."""

TRANSCENDENTAL_FRACTION = 1 / 16
"""Transcendental results per vector FLOP: 16 a clock beside 128 lanes, which are 256 FLOPs, from the table
of arithmetic throughput in the CUDA programming guide, where one call takes one more such instruction."""

SPREAD_ANALYTIC = 1.6
"""How far off, either way, a roofline from peaks is: 30 to 60 % for one kernel on GPUs."""

SPREAD_CALIBRATED = 1.25
"""How far off a roofline with constants fitted on the device is: 12 to 25 % for bf16 GEMMs."""

LAUNCH_OVERHEAD_S: dict[DeviceKind, float] = {
    "gpu": 2.5e-6,
    "soc": 2.5e-6,
    "tpu": 2.5e-6,
    "accelerator": 2.5e-6,
    "cpu": 0.0,
}
"""The smallest GEMM inside a CUDA graph takes 2 to 2.5 us on A100 and H100; the other kinds are assumed
alike. A CPU has no launch apart from its dispatch."""

DISPATCH_OVERHEAD_S: dict[DeviceKind, float] = {
    "gpu": 10e-6,
    "soc": 10e-6,
    "tpu": 10e-6,
    "accelerator": 10e-6,
    "cpu": 1.8e-6,
}
"""Host time of one eager operation. gpu: an empty eager kernel measured 6.6 us (A100), 10.9 us (T4), 11.3 us
(V100) and 12.5 us (P100). cpu: the median of add, mm and view of 8x8 tensors, measured with torch 2.13 on one
core of a 2.6 GHz Xeon (2026-11-23)."""


def matrix_fraction(device: Device, dtype: PeakDType) -> float:
    """Return sustained over peak arithmetic of a matrix unit for large, well-shaped GEMMs.

    From "maximum achievable matmul FLOPS" (github.com/stas00/ml-engineering at 744d01e), bf16: A100 81 to 87,
    H100 80 and B200 78 %; f8 on H100 71 %; MI300X, MI325X and MI355X 51, 60 and 62 %. Elsewhere as for vector
    lanes.
    """
    if device.vendor == "nvidia":
        return 0.71 if dtype == "f8" else 0.80
    return 0.58 if device.vendor == "amd" else VECTOR_FRACTION
