"""Agreement of a device's calibration with the recipes of kernel kinds that read it."""

from functools import lru_cache

from steelyard.hw.base.errors import DeviceError, did_you_mean
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Point, Residual
from steelyard.hw.devices.learned_models import Learned
from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind
from steelyard.hw.kernels.registry import KINDS, kind_of_regressor


@lru_cache(maxsize=64)
def require_calibration_of_kinds(device: Device) -> None:
    """Raise where fits or regressors of a device are over other dims or features than their kinds have.

    Raises:
        DeviceError: They are of another version of Steelyard, or of no kind.
        UsageError: A regressor is of no kind.
    """
    for name, types in device.fitted.items():
        if name not in KINDS:
            raise DeviceError(
                what=f"{device.name!r} was calibrated for {name!r}, which is no kind of kernel",
                fix=did_you_mean(name, KINDS),
            )
        for dtype, modes in types.items():
            for fit in modes.values():
                if fit.residual:
                    _require(device, f"{name} in {dtype}", _fault_of_residual(KINDS[name], fit.residual))
    for name, types in device.learned.items():
        for dtype, learned in types.items():
            _require(device, f"{name} in {dtype}", _fault_of_learned(kind_of_regressor(name), learned))


def _require(device: Device, place: str, fault: str | None) -> None:
    if fault:
        raise DeviceError(
            what=f"the calibration of {device.name!r} does not fit its kernels",
            where=place,
            why=fault,
            fix="calibrate or learn it anew",
        )


def _fault_of_residual(kind: KernelKind, residual: Residual) -> str | None:
    if len(residual.octaves) != len(kind.features):
        return f"octaves are for {', '.join(kind.features)}, not for {len(residual.octaves)} features"
    if not residual.points or not all(_is_of(kind, point) for point in residual.points):
        return f"a point is {', '.join(kind.dims)} and a log ratio"
    return None


def _fault_of_learned(kind: KernelKind, learned: Learned) -> str | None:
    if learned.regressor.features != kind.regressor_features:
        return f"features are not {', '.join(kind.regressor_features)}"
    if not len(learned.smallest) == len(learned.largest) == len(kind.sizes):
        return f"smallest and largest are for {', '.join(kind.sizes)}"
    return None


def _is_of(kind: KernelKind, point: Point) -> bool:
    *dims, value = point
    if len(dims) != len(kind.dims) or isinstance(value, str):
        return False
    return all(_is_entry(dim, entry) for dim, entry in zip(kind.dims.values(), dims, strict=True))


def _is_entry(dim: Dim, entry: float | str) -> bool:
    if isinstance(entry, str):
        return entry in dim.words
    return not dim.words and entry >= dim.smallest
