"""The units of a device that a convolution runs on."""

from dataclasses import dataclass

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import FALLBACK
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.common.power import sustained_fraction
from steelyard.hw.kernels.gemm.tensor_core_shape import OPERAND_BYTES
from steelyard.hw.kernels.gemm.tensor_core_tiles import TensorCores, matrix_clock_hz

ELEMENT_BYTES: dict[DType, int] = {"f64": 8, "f32": 4, **OPERAND_BYTES}

OLDER_THAN_FUSED = ("kepler",)
"""Where cuDNN has no fused Winograd kernels; their names begin with `maxwell`."""

PAIRED_ARCHITECTURES = ("maxwell", "pascal")
"""Where cuDNN has fused Winograd kernels that put two images in a block: seen on P100, not on V100 and T4."""

THROTTLE_S = 1e-3
"""Kernels far longer than this run at the clock of the power limit, far shorter ones at the boost clock,
since the limit holds for an average; as for products."""

_CLOCK_HZ = 1e9  # any will do where none is known: cycles are counted from the peak


@dataclass(frozen=True, slots=True)
class ConvUnit:
    """Execution unit of a convolution.

    Attributes:
        matrix: Whether that is matrix units, for which cuDNN has no Winograd or FFT kernels.
        count: SMs.
        macs_per_cycle: Multiply-adds that one SM can do in a cycle.
        vector_macs_per_s: Peak of all f32 lanes, whatever the type.
        boost_hz: Cycles per second in short kernels.
        sustained_fraction: The part of these that the power limit leaves in long ones.
        peak_flops_per_s: Peak of the data sheet.
        bytes_per_s: Peak (pin) bandwidth of memory.
        l2_bytes: Size of the last cache.
        element_bytes: Size of an operand.
        fuses_winograd: Whether there is a fused Winograd for it.
        pairs_images: Whether that can put two images in a block.
        settled: Whether the power limit has its clock before a kernel starts, as in a program that keeps the
            device busy; a lone call starts at the boost clock.
        cores: Its SMs as products on matrix units see them.
    """

    matrix: bool
    count: float
    macs_per_cycle: float
    vector_macs_per_s: float
    boost_hz: float
    sustained_fraction: float
    peak_flops_per_s: float
    bytes_per_s: float
    l2_bytes: float
    element_bytes: int
    fuses_winograd: bool
    pairs_images: bool
    settled: bool
    cores: TensorCores

    def busy_s(self, cycles: Floats) -> Floats:
        """Return the seconds for cycles of arithmetic."""
        boost_s = cycles / self.boost_hz
        return boost_s + self.throttled_s(boost_s)

    def throttled_s(self, boost_s: Floats) -> Floats:
        """Return how much longer than at the boost clock arithmetic takes; a lone call slows with time."""
        throttled = 1.0 if self.settled else boost_s / (boost_s + THROTTLE_S)
        return (1 / self.sustained_fraction - 1) * boost_s * throttled


def is_on_matrix_units(device: Device, dtype: DType) -> bool:
    """Return whether the device has matrix units that take the type."""
    return dtype in OPERAND_BYTES and dtype in device.matrix_peak_flops_per_s


def conv_unit(device: Device, dtype: DType, constants: Coefficients, *, settled: bool = False) -> ConvUnit:
    """Return the unit that takes a type; `settled` is that of `ConvUnit`.

    Raises:
        DeviceError: The device has none, or its memory is not described.
    """
    matrix = is_on_matrix_units(device, dtype)
    peaks = device.matrix_peak_flops_per_s if matrix else device.vector_peak_flops_per_s
    chain = FALLBACK[dtype] if dtype in ELEMENT_BYTES else ()
    wanted: PeakDType | None = next((each for each in chain if each in peaks), None)
    bandwidth = device.memory_bandwidth_bytes_per_s
    if wanted is None or bandwidth is None:
        raise DeviceError(
            what=f"convolutions in {dtype} on {device.name!r} cannot be priced",
            why="that needs a peak for the type and memory_bandwidth_bytes_per_s",
            fix="choose another type, or add both from the data sheet",
        )
    boost = device.boost_clock_hz
    boost_hz = matrix_clock_hz(device) if matrix else boost.value if boost else _CLOCK_HZ
    peak_flops_per_s, count = peaks[wanted].value, device.compute_units.value
    lanes = device.vector_peak_flops_per_s.get("f32")
    reached = 1.0 if matrix else fma_fraction(device)
    unit, of = ("matrix", "f16") if matrix else ("vector", wanted)
    return ConvUnit(
        matrix=matrix,
        count=count,
        macs_per_cycle=reached * peak_flops_per_s / 2 / count / boost_hz,
        vector_macs_per_s=(lanes.value if lanes else peak_flops_per_s) / 2,
        boost_hz=boost_hz,
        sustained_fraction=sustained_fraction(device, of, unit, constants.get("power_fraction")),
        peak_flops_per_s=peak_flops_per_s,
        bytes_per_s=bandwidth.value,
        l2_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
        element_bytes=ELEMENT_BYTES[dtype],
        fuses_winograd=device.architecture not in OLDER_THAN_FUSED,
        pairs_images=device.architecture in PAIRED_ARCHITECTURES,
        settled=settled,
        cores=TensorCores.of(device, peak_flops_per_s, ELEMENT_BYTES[dtype]),
    )
