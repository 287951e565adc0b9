"""Fit the constants of convolutions on vector lanes, and write hw/kernels/conv2d/conv2d.toml.

    python benchmarks/fit/conv2d.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen.

The rows of NeuSight are single eager calls, between events, of thousands of shapes one after the other in one
process, with cuDNN's benchmark mode on. What the host adds before the first kernel grows with the number of
shapes so far, on P100 from 70 to 770 us, whatever the shape. So each device has, while its constants are
fitted, an offset that is piecewise linear over the row's number; the table takes its lower quartile, as of a
program that has not seen that many shapes.
"""

import csv
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.conv2d.model import Conv2dModel

FAMILIES = {"pascal": ("P100", "p100-pcie"), "volta": ("V100", "v100-pcie-32gb"), "turing": ("T4", "t4")}
DEEPBENCH = {"NV_P100": "p100-pcie", "NV_V100": "v100-sxm2-16gb"}
DIRECTIONS = {"fwd": "fwd_ms", "dgrad": "bwd_inputs_ms", "wgrad": "bwd_params_ms"}
START = {
    "cycles_per_step": 0.85,
    "operand_load_cycles": 10.0,
    "tile_prologue_steps": 18.0,
    "latency_outputs": 3500.0,
    "winograd_cycles_per_step": 1.15,
    "winograd_prologue_channels": 22.0,
    "memory_fraction": 0.7,
    "filter_transform_slowdown": 2.0,
    "unaligned_filter_slowdown": 1.4,
    "power_fraction": 0.85,
}
FIXED = {"launch_s": 2.5e-6}
"""The smallest kernel inside a CUDA graph takes 2 to 2.5 us on A100 and H100."""

KNOTS = 9
LOSS_SCALE = 0.05
"""Log ratios above this count linearly: cuDNN chose another algorithm, or the host was interrupted."""

PULL = 1.0
"""Weight of a constant's log distance from its start, in rows: it holds what the rows do not tell apart."""

CALIBRATION_ROWS = 200


@dataclass(frozen=True)
class Rows:
    """Measured convolutions of one device, `host` what is known of the host's part of each, [rows, knots]."""

    device: Device
    dims: Mapping[str, Column]
    measured_s: Floats
    host: Floats

    def take(self, picked: NDArray[np.intp]) -> "Rows":
        """Return some of the rows."""
        dims = {name: column[picked] for name, column in self.dims.items()}
        return Rows(self.device, dims, self.measured_s[picked], self.host[picked])

    def busy_s(self, constants: Mapping[str, float]) -> Floats:
        """Return the model's times without the host."""
        full = {"adding_slowdown": 1.0, **FIXED, **constants, "host_s": 0.0}
        context = ExecutionContext(mode="graph")
        return Conv2dModel().estimate(Launches(self.device, "f32", context, self.dims, full)).seconds


Fit = tuple[dict[str, float], list[Floats]]
"""The constants, and for each device the host's part in seconds at each knot."""


def main() -> None:
    root = Path(sys.argv[1])
    data = {family: neusight(root, *names) for family, names in FAMILIES.items()}
    pooled = fit(list(data.values()))
    # One device alone does not tell the clock that its power leaves from cycles.
    power = {"power_fraction": pooled[0]["power_fraction"]}
    fits = {family: fit([rows], power) for family, rows in data.items()}
    hosts_s = {family: float(np.percentile(fits[family][1][0], 25)) for family in data}
    host_s = float(np.exp(np.mean(np.log(list(hosts_s.values())))))
    gradients = [deepbench(root, *names) for names in DEEPBENCH.items()]
    constants = {family: fits[family][0] for family in data} | {"any": pooled[0]}
    slowdown = fit_adding(gradients, [constants["pascal"], constants["volta"]])
    notes = [note for family in data for note in compare(family, data, fits, pooled, host_s)]
    for rows, family in zip(gradients, ("pascal", "volta"), strict=True):
        for direction in DIRECTIONS:
            picked = rows.take(np.flatnonzero(rows.dims["direction"] == direction))
            full = {**constants[family], "adding_slowdown": slowdown}
            title = f"{rows.device.name}, DeepBench {direction}, the constants of {family}"
            notes.append(score(title, picked, picked.busy_s(full)))
    print("\n".join(notes))
    shared = {"adding_slowdown": slowdown, **FIXED, "host_s": rounded(host_s)}
    write({family: {**each, **shared} for family, each in constants.items()}, notes)


def compare(
    family: str, data: Mapping[str, Rows], fits: Mapping[str, Fit], pooled: Fit, host_s: float
) -> list[str]:
    """Return the errors of one device under every way to get constants for it."""
    rows, name = data[family], data[family].device.name
    own, (offsets,) = fits[family]
    others = fit([each for other, each in data.items() if other != family])[0]
    order = np.random.default_rng(0).permutation(len(rows.measured_s))
    half, rest = rows.take(np.sort(order[::2])), rows.take(np.sort(order[1::2]))
    few, many = rows.take(order[:CALIBRATION_ROWS]), rows.take(order[CALIBRATION_ROWS:])
    near, near_host_s = calibrate(few, pooled[0], host_s)
    split = fit([half], {"power_fraction": pooled[0]["power_fraction"]})
    return [
        score(f"{name}, its own constants and offsets", rows, rows.busy_s(own) + rows.host @ offsets),
        score(f"{name}, fitted to the other half", rest, rest.busy_s(split[0]) + rest.host @ split[1][0]),
        score(
            f"{name}, the other devices' constants, its own offsets",
            rows,
            rows.busy_s(others) + rows.host @ offsets,
        ),
        score(f"{name}, the other devices' constants, host_s", rows, rows.busy_s(others) + host_s),
        score(f"{name}, its own constants, host_s", rows, rows.busy_s(own) + host_s),
        score(f"{name}, each kernel known, not when it ran", rows, best_without_order(rows, offsets)),
        score(
            f"{name}, `any` fitted to {CALIBRATION_ROWS} rows, one host_s",
            many,
            many.busy_s(near) + near_host_s,
        ),
    ]


def best_without_order(rows: Rows, offsets: Floats) -> Floats:
    """Return the times with the least mean error of all that know each kernel, but not when it ran.

    The host's part is any of those that it had in the process: the error in expectation is least at the
    median, of which each weighs as the reciprocal of the time that it makes.
    """
    hosts_s = rows.host @ offsets
    kernels_s = np.maximum(rows.measured_s - hosts_s, 0)
    times_s = kernels_s[:, None] + np.quantile(hosts_s, np.linspace(0, 1, 101))
    weight = np.cumsum(1 / times_s, axis=1)
    return times_s[np.arange(len(times_s)), np.argmax(weight >= weight[:, -1:] / 2, axis=1)]


def neusight(root: Path, source: str, name: str) -> Rows:
    with (root / "neusight/conv_fp32.csv").open(newline="", encoding="utf-8-sig") as stream:
        table = [row for row in csv.DictReader(stream) if row["device"] == source]
    columns = {"n": "batch", "c": "cin", "h": "hw", "w": "hw", "o": "cout", "r": "ksize", "s": "ksize"}
    columns |= {"stride": "stride", "pad": "pad"}
    return _rows(name, table, columns, "fwd", "latency_ms")


def deepbench(root: Path, source: str, name: str) -> Rows:
    with (root / "deepbench/conv.csv").open(newline="", encoding="utf-8-sig") as stream:
        table = [row for row in csv.DictReader(stream) if row["device"] == source]
    table = [row for row in table if row["precision"] == "FP32" and row["shape_ok"] == "1"]
    table = [row for row in table if (row["pad_h"], row["stride_h"]) == (row["pad_w"], row["stride_w"])]
    columns = {"n": "N", "c": "C", "h": "H", "w": "W", "o": "K", "r": "R", "s": "S"}
    columns |= {"stride": "stride_h", "pad": "pad_h"}
    parts = [
        _rows(name, [row for row in table if row[latency]], columns, direction, latency)
        for direction, latency in DIRECTIONS.items()
    ]
    dims = {dim: np.concatenate([part.dims[dim] for part in parts]) for dim in parts[0].dims}
    measured_s = np.concatenate([part.measured_s for part in parts])
    return Rows(parts[0].device, dims, measured_s, np.zeros((len(measured_s), KNOTS)))


def _rows(
    name: str, table: list[dict[str, str]], columns: Mapping[str, str], direction: str, latency: str
) -> Rows:
    dims: dict[str, Column] = {
        dim: np.array([int(row[column]) for row in table]) for dim, column in columns.items()
    }
    dims |= {"groups": np.ones(len(table), np.int64), "direction": np.full(len(table), direction)}
    measured_s = np.array([float(row[latency]) for row in table]) * 1e-3
    place = np.linspace(0, KNOTS - 1, len(table))
    hats = np.clip(1 - np.abs(place[:, None] - np.arange(KNOTS)), 0, 1)
    return Rows(load_device(name), dims, measured_s, hats)


def fit(sets: list[Rows], known: Mapping[str, float] | None = None) -> Fit:
    """Fit constants that the devices share, and the host's part of each; each device weighs alike."""
    known = known or {}
    names, fewest = [name for name in START if name not in known], min(len(rows.measured_s) for rows in sets)
    origin = np.log(
        [*(START[name] for name in names), *np.tile(np.linspace(80e-6, 400e-6, KNOTS), len(sets))]
    )
    size = len(names)

    def parts(logs: Floats) -> Fit:
        values = np.exp(logs)
        constants = {**known, **dict(zip(names, values[:size].tolist(), strict=True))}
        return constants, list(values[size:].reshape(-1, KNOTS))

    def residuals(logs: Floats) -> Floats:
        constants, offsets = parts(logs)
        errors = [
            np.log((rows.busy_s(constants) + rows.host @ offset) / rows.measured_s)
            * np.sqrt(fewest / len(rows.measured_s))
            for rows, offset in zip(sets, offsets, strict=True)
        ]
        return np.concatenate([*errors, PULL * LOSS_SCALE * (logs - origin)[:size]])

    solved = least_squares(residuals, origin, loss="soft_l1", f_scale=LOSS_SCALE, diff_step=1e-3, max_nfev=40)
    constants, offsets = parts(solved.x)
    return {name: rounded(value) for name, value in constants.items()}, offsets


def fit_adding(sets: list[Rows], constants: list[dict[str, float]]) -> float:
    """Fit the one constant that only gradients tell."""

    def residuals(logs: Floats) -> Floats:
        value = {"adding_slowdown": float(np.exp(logs[0]))}
        errors = [
            np.log(rows.busy_s({**each, **value}) / rows.measured_s)
            for rows, each in zip(sets, constants, strict=True)
        ]
        return np.concatenate(errors)

    solved = least_squares(residuals, [0.3], loss="soft_l1", f_scale=4 * LOSS_SCALE, diff_step=0.01)
    return rounded(float(np.exp(solved.x[0])))


def calibrate(rows: Rows, constants: Mapping[str, float], host_s: float) -> tuple[dict[str, float], float]:
    """Fit constants and one host time to a few rows, near those of the family."""
    names = list(constants)
    origin = np.log([*constants.values(), host_s])

    def residuals(logs: Floats) -> Floats:
        *values, host = np.exp(logs).tolist()
        near = dict(zip(names, values, strict=True))
        return np.concatenate(
            [np.log((rows.busy_s(near) + host) / rows.measured_s) / 0.1, (logs - origin) / 0.5]
        )

    solved = least_squares(residuals, origin, loss="soft_l1", diff_step=1e-3, max_nfev=40)
    *values, host = np.exp(solved.x).tolist()
    return dict(zip(names, values, strict=True)), host


def score(title: str, rows: Rows, predicted_s: Floats) -> str:
    error = predicted_s / rows.measured_s - 1
    mape, median, bias = 100 * np.mean(abs(error)), 100 * np.median(abs(error)), 100 * np.median(error)
    return f"{title}: {len(error)} rows, MAPE {mape:.1f} %, median {median:.1f} %, bias {bias:+.1f} %"


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def write(families: Mapping[str, Mapping[str, float]], notes: list[str]) -> None:
    lines = [
        "# Convolutions on vector lanes; what each constant means is said in hw/kernels/conv2d/model.py.",
        "# Written by benchmarks/fit/conv2d.py; `any` is fitted to all devices at once. The offsets are",
        "# what the host added in the process that measured; host_s is their lower quartile.",
        *(f"# {note}" for note in notes),
    ]
    for family, constants in families.items():
        lines += ["", f"[f32.{family}]", *(f"{name} = {value}" for name, value in constants.items())]
    lines += [
        "",
        "[sources]",
        'forward = "conv_fp32, github.com/sitar-lab/NeuSight at 6945927"',
        'adding_slowdown = "conv, github.com/baidu-research/DeepBench at da81ba7"',
        'launch_s = "github.com/ai-dynamo/aiconfigurator at 095f58a, the smallest products on A100 and H100"',
    ]
    path = Path(steelyard.hw.kernels.__file__).parent / "conv2d" / "conv2d.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
