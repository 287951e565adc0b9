"""Fit the constants of elementwise kernels, softmax and layer norm, and write their tables in hw/kernels.

    python benchmarks/fit/vector.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.registry import load_device
from steelyard.hw.fitting.fit_coefficients import Case, modelled_s
from steelyard.hw.kernels.common.kernel_model import KernelModel
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm
from steelyard.hw.kernels.memory_bound.softmax import Softmax
from steelyard.hw.kernels.registry import KINDS

Constants = dict[str, float]
Cases = Mapping[str, Case]
"""Measured kernels by the name of their device."""

DEVICES = {
    "P4": "p4",
    "P100": "p100-pcie",
    "V100": "v100-pcie-32gb",
    "T4": "t4",
    "A100-40-PCIe": "a100-40gb-pcie",
}
ARCHITECTURES = {
    "pascal": ("p4", "p100-pcie"),
    "volta": ("v100-pcie-32gb",),
    "turing": ("t4",),
    "ampere": ("a100-40gb-pcie",),
}
SUCCESSORS = ("hopper", "ada", "blackwell")
"""Architectures that nothing was measured on; their SMs are nearest to Ampere's."""

ROW_STARTS: dict[str, tuple[KernelModel, Constants]] = {
    "softmax": (
        Softmax(),
        {
            "warp_cycles_per_element": 0.4,
            "block_cycles_per_element": 1.4,
            "spill_fraction": 1.0,
            "lead_fraction": 0.6,
        },
    ),
    "layer_norm": (
        LayerNorm(),
        {
            "row_cycles": 500.0,
            "turn_cycles": 180.0,
            "unrolled_cycles": 500.0,
            "spill_fraction": 1.0,
            "overlap_exponent": 3.0,
            "lead_fraction": 0.8,
        },
    ),
}
MEMORY_START = {
    "memory_fraction": 0.8,
    "resident_fraction": 0.67,
    "lead_fraction": 0.5,
}
OVERLAP_EXPONENT = 8.0
"""The fits of elementwise kernels and softmax ask for as much as they can get; beyond it nothing changes."""

CACHE_BYTES_PER_CYCLE = 20.0
"""Of each SM. Jia et al., "Dissecting the NVIDIA Turing T4 GPU via Microbenchmarking" (2019), table 3.1, give
L2 loads of 1270 GB/s on T4, 2155 on V100 and 1624 on P100: 20, 20 and 22 bytes. These rows do not see it."""

NEWER_GDDR = {"memory_fraction": 0.8, "resident_fraction": 0.9}
"""Of Ampere, Ada and Blackwell, of which none was measured. Memory is as in hw/devices/typical_factors.py.
The cache of A100 is two halves that each keep what the SMs beside them read (NVIDIA A100 white paper), so
that kernels begin to miss it when they touch half of its size; the cache of these chips is one."""

LOSS_SCALE = 0.05
"""Log ratios above this count linearly; the clocks of the measured devices changed by more between rows."""

SMALL_ELEMENTS = 50_000
"""Fewer take no device longer than its host."""

PULL = 0.1
"""Weight of a constant's log distance from its start as a part of that of all rows, so that a family that
does not see a constant keeps that of all."""


def main() -> None:
    rows = _rows(Path(sys.argv[1]))
    folder = Path(next(iter(steelyard.hw.kernels.__path__)))
    memory = _memory(rows["elementwise"])
    _write(folder / "common" / "memory_system.toml", _memory_entries(memory), memory.notes)
    for table, (model, start) in ROW_STARTS.items():
        _write(folder / "memory_bound" / f"{table}.toml", *_families(model, rows[table], start, memory))


@dataclass(frozen=True, slots=True)
class Memory:
    """The constants of the memory of each device, by name.

    Attributes:
        own: Fitted to the device.
        others: Fitted to all but the device.
        notes: How well both do.
    """

    own: dict[str, Constants]
    others: dict[str, Constants]
    notes: list[str]


def _memory(cases: Cases) -> Memory:
    model = Elementwise()
    fixed = {"cache_bytes_per_cycle": CACHE_BYTES_PER_CYCLE, "overlap_exponent": OVERLAP_EXPONENT}
    largest_cache = _without_powers(cases["a100-40gb-pcie"])
    fixed["resident_fraction"] = _fit(model, {"": largest_cache}, MEMORY_START, {"": fixed})[
        "resident_fraction"
    ]
    start = {key: value for key, value in MEMORY_START.items() if key not in fixed}
    bases = dict.fromkeys(cases, fixed)
    pooled = _fit(model, cases, start, bases)
    memory = Memory({}, {}, [])
    for name, case in cases.items():
        memory.own[name] = {**fixed, **_fit(model, {name: case}, pooled, bases)}
        memory.others[name] = {**fixed, **_fit(model, _but(cases, name), start, bases)}
        memory.notes.append(_figures(f"{name}, its own constants", model, case, memory.own[name]))
        memory.notes.append(
            _figures(f"{name}, fitted to the other devices", model, case, memory.others[name])
        )
    return memory


def _memory_entries(memory: Memory) -> dict[str, Constants | str]:
    devices = {name: load_device(name) for name in memory.own}
    entries: dict[str, Constants | str] = {
        f"{device.architecture}-{device.memory_kind}": memory.own[name] for name, device in devices.items()
    }
    entries["ampere-gddr"] = {**memory.own["a100-40gb-pcie"], **NEWER_GDDR}
    entries["ada-gddr"] = entries["blackwell-gddr"] = "ampere-gddr"
    entries["any"] = "ampere-hbm"
    return entries


def _but(cases: Cases, name: str) -> Cases:
    return {each: case for each, case in cases.items() if each != name}


def _without_powers(case: Case) -> Case:
    """Leave out the functions whose arithmetic shows: A100's clock changed by half between their rows."""
    return case.take(~np.isin(case.dims["fn"], ("pow", "powu")))


def _families(
    model: KernelModel, cases: Cases, start: Constants, memory: Memory
) -> tuple[dict[str, Constants | str], list[str]]:
    entries: dict[str, Constants | str] = {}
    notes: list[str] = []
    pooled = _fit(model, cases, start, memory.own)
    for architecture, names in ARCHITECTURES.items():
        members = {name: cases[name] for name in names}
        even = {name: _every_second(case, 0) for name, case in members.items()}
        own = entries[architecture] = _fit(model, members, pooled, memory.own)
        half = _fit(model, even, pooled, memory.own)
        for name, case in members.items():
            known, odd = memory.own[name], _every_second(case, 1)
            unseen = {**memory.others[name], **_fit(model, _but(cases, name), start, memory.own)}
            notes.append(_figures(f"{name}, its architecture's constants", model, case, {**known, **own}))
            notes.append(_figures(f"{name}, fitted to the other half", model, odd, {**known, **half}))
            notes.append(_figures(f"{name}, fitted to the other devices", model, case, unseen))
    entries.update(dict.fromkeys(SUCCESSORS, "ampere"))
    entries["any"] = pooled
    return entries, notes


def _fit(model: KernelModel, cases: Cases, start: Constants, bases: Mapping[str, Constants]) -> Constants:
    """Return the constants of `start` that explain the cases best, while those in `bases`, by device, hold.

    Those that the cases do not see stay at the start.
    """
    names = list(start)
    center = np.log([start[name] for name in names])
    measured = np.log(np.concatenate([case.measured_s for case in cases.values()]))
    counts = [len(case.measured_s) for case in cases.values()]
    weights = np.repeat(np.array(counts) ** -0.5, counts)
    known = {
        name: {**model.coefficients(case.device, case.dtype), "call_s": _call_s(model, case), **bases[name]}
        for name, case in cases.items()
    }

    def errors(position: Floats) -> Floats:
        values = dict(zip(names, np.exp(position).tolist(), strict=True))
        modelled = [modelled_s(model, case, {**known[name], **values}) for name, case in cases.items()]
        scaled = (np.log(np.concatenate(modelled)) - measured) / LOSS_SCALE
        softened = np.sqrt(2 * (np.sqrt(1 + scaled**2) - 1)) * weights
        return np.concatenate([softened, PULL * (position - center)])

    found = least_squares(errors, center, bounds=(center - 2, center + 2), diff_step=0.01)
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(found.x), strict=True)}


def _every_second(case: Case, first: int) -> Case:
    return case.take(np.arange(first, len(case.measured_s), 2))


def _call_s(model: KernelModel, case: Case) -> float:
    """Return the host's time as the smallest kernels of a case show it: the hosts of one device differ."""
    small = case.dims["rows"] * case.dims["cols"] < SMALL_ELEMENTS
    if model.kind == "elementwise":
        small &= case.dims["fn"] == "add"
    return float(np.median(case.measured_s[small])) / KINDS[model.kind].call_ratio


def _figures(label: str, model: KernelModel, case: Case, constants: Constants) -> str:
    coefficients = {**model.coefficients(case.device, case.dtype), **constants}
    error = modelled_s(model, case, coefficients) / case.measured_s - 1
    text = (
        f"{label}: {len(error)} rows, MAPE {100 * np.abs(error).mean():.1f} %, "
        f"median {100 * np.median(np.abs(error)):.1f} %, bias {100 * error.mean():+.1f} %"
    )
    print(f"{model.kind}: {text}", flush=True)
    return text


def _rows(root: Path) -> dict[str, dict[str, Case]]:
    gathered: dict[str, dict[str, list[tuple[str, int, int, float]]]] = {}
    with (root / "neusight/train_vec.csv").open(newline="", encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            kind = {"ln": "layer_norm", "softmax": "softmax"}.get(row["op"], "elementwise")
            cell = row["op"], int(row["B"]), int(row["H"]), float(row["latency_ms"]) * 1e-3
            gathered.setdefault(kind, {}).setdefault(DEVICES[row["device"]], []).append(cell)
    return {
        kind: {name: _case(name, cells) for name, cells in sorted(by_device.items())}
        for kind, by_device in gathered.items()
    }


def _case(name: str, cells: list[tuple[str, int, int, float]]) -> Case:
    functions, rows, cols, measured_s = zip(*cells, strict=True)
    dims = {"fn": np.array(functions), "rows": np.array(rows), "cols": np.array(cols)}
    return Case(load_device(name), "f32", ExecutionContext(), dims, np.array(measured_s))


def _write(path: Path, entries: Mapping[str, Constants | str], notes: Sequence[str]) -> None:
    lines = [
        f"# What each constant means is said in hw/kernels/{path.stem}.py; cycles hold for all types.",
        "# Written by benchmarks/fit/vector.py from f32 rows of NeuSight (6945927, PyTorch 2.1, eager).",
        *(f"# {note}" for note in notes),
    ]
    for name, entry in entries.items():
        lines += ["", f"[f32.{name}]"]
        lines += (
            [f'like = "{entry}"'] if isinstance(entry, str) else [f"{k} = {v:.4g}" for k, v in entry.items()]
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
