"""The data-sheet numbers that the model of attention needs of a device."""

from dataclasses import dataclass

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import FALLBACK


@dataclass(frozen=True, slots=True)
class AttentionPeaks:
    """Peaks of a whole device.

    Attributes:
        contraction_flops_per_s: Of the unit for the products.
        whole_tiles: Whether that is a matrix unit, which multiplies the empty rows of a tile too.
        vector_flops_per_s: Of the f32 lanes.
        memory_bytes_per_s: Of its memory.
        cache_bytes: Size of the last cache.
        clock_hz: Boost clock.
        units: SMs.
    """

    contraction_flops_per_s: float
    whole_tiles: bool
    vector_flops_per_s: float
    memory_bytes_per_s: float
    cache_bytes: float
    clock_hz: float
    units: float


def attention_peaks(device: Device, dtype: DType, tf32: bool) -> AttentionPeaks:
    """Return the peaks of a device.

    Args:
        device: The device.
        dtype: The type of the operands; one without a unit of its own is converted to f32.
        tf32: Whether f32 products may round their inputs to TF32.

    Raises:
        DeviceError: The device's file lacks one of them.
    """
    chain = FALLBACK["tf32" if dtype == "f32" and tf32 else dtype]
    matrix, lanes = device.matrix_peak_flops_per_s, device.vector_peak_flops_per_s
    known = ((matrix.get(each), lanes.get(each)) for each in chain)
    on_matrix, on_lanes = next((pair for pair in known if any(pair)), (None, None))
    contraction = on_matrix or on_lanes
    vector, memory = lanes.get("f32"), device.memory_bandwidth_bytes_per_s
    clock = device.boost_clock_hz
    if contraction is None or vector is None or memory is None or clock is None:
        raise DeviceError(
            what=f"attention in {dtype} on {device.name} cannot be priced",
            why=f"its file lacks a peak for {dtype} or f32, memory_bandwidth_bytes_per_s or boost_clock_hz",
            fix="add them from the data sheet, or choose another type",
        )
    return AttentionPeaks(
        contraction_flops_per_s=contraction.value,
        whole_tiles=on_matrix is not None,
        vector_flops_per_s=vector.value,
        memory_bytes_per_s=memory.value,
        cache_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
        clock_hz=clock.value,
        units=device.compute_units.value,
    )
