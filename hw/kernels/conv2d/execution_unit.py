"""The units of a device that a convolution runs on."""

from dataclasses import dataclass

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import ExecutionUnit
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.common.power import sustained_fraction, throttled_s
from steelyard.hw.kernels.gemm.shape import MATRIX_DTYPES
from steelyard.hw.kernels.gemm.tensor_core_tiles import TensorCores

DTYPES: tuple[DType, ...] = ("f64", "f32", *MATRIX_DTYPES)

OLDER_THAN_FUSED = ("kepler",)
"""Where cuDNN has no fused Winograd kernels; their names begin with `maxwell`."""

PAIRED_ARCHITECTURES = ("maxwell", "pascal")
"""Where cuDNN has fused Winograd kernels that put two images in a block: seen on P100, not on V100 and T4."""


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
        if self.settled:
            return (1 / self.sustained_fraction - 1) * boost_s
        return throttled_s(boost_s, self.sustained_fraction)


def is_on_matrix_units(device: Device, dtype: DType) -> bool:
    """Return whether the device has matrix units that take the type."""
    return dtype in MATRIX_DTYPES and dtype in device.matrix_peak_flops_per_s


def conv_unit(device: Device, dtype: DType, constants: Coefficients, *, settled: bool = False) -> ConvUnit:
    """Return the unit that takes a type; `settled` is that of `ConvUnit`.

    Raises:
        DeviceError: The device has none, or its memory is not described.
    """
    matrix = is_on_matrix_units(device, dtype)
    if dtype not in DTYPES:
        raise DeviceError(
            what=f"there are no convolutions in {dtype}",
            why=f"kernels take {', '.join(DTYPES)}",
            fix="choose one of these types",
        )
    found = ExecutionUnit.of(device, dtype, lanes=not matrix)
    boost_hz, peak_flops_per_s, count = found.clock_hz, found.peak_flops_per_s, found.count
    lanes = device.vector_peak_flops_per_s.get("f32")
    reached = 1.0 if matrix else fma_fraction(device)
    unit, of = ("matrix", "f16") if matrix else ("vector", found.dtype)
    return ConvUnit(
        matrix=matrix,
        count=count,
        macs_per_cycle=reached * peak_flops_per_s / 2 / count / boost_hz,
        vector_macs_per_s=(lanes.value if lanes else peak_flops_per_s) / 2,
        boost_hz=boost_hz,
        sustained_fraction=sustained_fraction(device, of, unit, constants.get("power_fraction")),
        peak_flops_per_s=peak_flops_per_s,
        bytes_per_s=found.memory_bytes_per_s,
        l2_bytes=found.cache_bytes,
        element_bytes=element_bytes(dtype),
        fuses_winograd=device.architecture not in OLDER_THAN_FUSED,
        pairs_images=device.architecture in PAIRED_ARCHITECTURES,
        settled=settled,
        cores=TensorCores.of(device, peak_flops_per_s, element_bytes(dtype)),
    )
