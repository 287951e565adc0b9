"""The clock that a GPU holds under its power limit while its arithmetic units are busy."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import clock_hz
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.kernels.common.kernel_queries import Floats

ArithmeticUnit = Literal["vector", "matrix"]

_BISECTIONS = 40
_PICO = 1e-12

THROTTLE_S = 1e-3
"""Kernels far longer than this run at the clock that the power limit allows, far shorter ones at the boost
clock, since the limit holds for an average; 0.3 or 3 ms fit products on A100 and H100 no better."""


def sustained_clock_hz(device: Device, dtype: PeakDType, unit: ArithmeticUnit) -> float:
    """Return the clock of a long kernel that keeps a unit busy, at most that of the unit's peak.

    Args:
        device: The device.
        dtype: The type that is multiplied.
        unit: What multiplies it.
    """
    return clock_hz(device, matrix=unit == "matrix") * sustained_fraction(device, dtype, unit)


def sustained_fraction(
    device: Device,
    dtype: PeakDType,
    unit: ArithmeticUnit,
    power_fraction: float | None = None,
    table: Mapping[str, Any] | None = None,
) -> float:
    """Return the part of its boost clock that a device holds in a long kernel that keeps a unit busy.

    The board's power is that of everything else and FLOP/s x energy per FLOP, which rises with the square of
    the supply voltage, a straight line over the clock (dynamic power of CMOS, a f C V^2: Weste & Harris, CMOS
    VLSI Design, section 5.2). The clock is where that meets the power limit. The energies are those of a
    process node, in hw/kernels/common/power.toml; where one is unknown, or the power limit is, the boost
    clock is held.

    Args:
        device: The device.
        dtype: The type that is multiplied.
        unit: What multiplies it.
        power_fraction: The part of the power limit that the arithmetic gets; None for that of the table.
        table: Constants in place of those in hw/kernels/common/power.toml, for their fit.
    """
    table = table or _table()
    peaks = device.matrix_peak_flops_per_s if unit == "matrix" else device.vector_peak_flops_per_s
    energies: dict[str, float] = table[unit].get(table["node"].get(device.compute_capability), {})
    peak = peaks.get(dtype)
    if peak is None or device.tdp_w is None or dtype not in energies:
        return 1.0
    busy = table["matrix_fraction"] if unit == "matrix" else fma_fraction(device)
    available_w = device.tdp_w.value * (power_fraction or table["power_fraction"])
    boost_w = peak.value * busy * energies[dtype] * _PICO
    return _clock_fraction(available_w / boost_w, table["voltage_floor_fraction"])


def throttled_s(boost_s: Floats, sustained: float) -> Floats:
    """Return how much longer than at the boost clock arithmetic takes under the power limit.

    Args:
        boost_s: Its time at the boost clock.
        sustained: The part of that clock that is held in long kernels.
    """
    return (1 / sustained - 1) * boost_s * boost_s / (boost_s + THROTTLE_S)


def usual_power_fraction() -> float:
    """Return the part of the power limit that arithmetic gets on a board that is cooled as it should be."""
    return _table()["power_fraction"]


def _clock_fraction(power_ratio: float, voltage_floor: float) -> float:
    """Solve f (floor + (1 - floor) f)^2 = power_ratio for the fraction f of the boost clock, at most 1."""
    if power_ratio >= 1:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        power = middle * (voltage_floor + (1 - voltage_floor) * middle) ** 2
        low, high = (middle, high) if power < power_ratio else (low, middle)
    return low


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("steelyard.hw.kernels.common") / "power.toml").read_text(encoding="utf-8"))
