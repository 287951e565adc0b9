"""Fit the constants of elementwise kernels, softmax and layer norm, and write their tables in hw/kernels.

    python benchmarks/fit/vector.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.kernels.elementwise import Elementwise
from steelyard.hw.kernels.fit import Case, modelled_s
from steelyard.hw.kernels.layer_norm import LayerNorm
from steelyard.hw.kernels.model import KernelModel
from steelyard.hw.kernels.overhead import CALL_RATIOS
from steelyard.hw.kernels.query import Floats
from steelyard.hw.kernels.softmax import Softmax
from steelyard.hw.registry import load_device
from steelyard.hw.work import ExecutionContext

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

NEWER_GDDR = {"memory_fraction": 0.8}
"""Of Ampere, Ada and Blackwell; as in hw/defaults.py, since only older ones were measured."""

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
    _write(folder / "memory_system.toml", *_memory(rows["elementwise"]))
    for table, (model, start) in ROW_STARTS.items():
        _write(folder / f"{table}.toml", *_families(model, rows[table], start))


def _memory(cases: Cases) -> tuple[dict[str, Constants | str], list[str]]:
    """Fit the memory of each device; what the five share is fitted to all at once."""
    model = Elementwise()
    largest_cache = _without_powers(cases["a100-40gb-pcie"])
    resident = {"resident_fraction": _fit(model, [largest_cache], MEMORY_START)["resident_fraction"]}
    start = {key: value for key, value in MEMORY_START.items() if key not in resident}
    pooled = {**_fit(model, list(cases.values()), start, resident), **resident}
    own_start = {key: pooled[key] for key in ("memory_fraction", "lead_fraction")}
    entries: dict[str, Constants | str] = {}
    notes: list[str] = []
    for name, case in cases.items():
        own = {**resident, **_fit(model, [case], own_start, resident)}
        others = [other for other_name, other in cases.items() if other_name != name]
        unseen = {**_fit(model, others, start, resident), **resident}
        notes.append(_figures(f"{name}, its own memory_fraction and lead_fraction", model, case, own))
        notes.append(_figures(f"{name}, fitted to the other devices", model, case, unseen))
        device = case.device
        entries[f"{device.architecture}-{device.memory_kind}"] = _memory_entry(own)
    newest = entries["ampere-hbm"]
    assert isinstance(newest, dict)
    entries["ampere-gddr"] = {**newest, **NEWER_GDDR}
    entries["ada-gddr"] = entries["blackwell-gddr"] = "ampere-gddr"
    entries["any"] = "ampere-hbm"
    return entries, notes


def _without_powers(case: Case) -> Case:
    """Leave out the functions whose arithmetic shows: A100's clock changed by half between their rows."""
    return case.take(~np.isin(case.dims["fn"], ("pow", "powu")))


def _memory_entry(constants: Constants) -> Constants:
    fixed = {"cache_bytes_per_cycle": CACHE_BYTES_PER_CYCLE, "overlap_exponent": OVERLAP_EXPONENT}
    return {**constants, **fixed}


def _families(
    model: KernelModel, cases: Cases, start: Constants
) -> tuple[dict[str, Constants | str], list[str]]:
    entries: dict[str, Constants | str] = {}
    notes: list[str] = []
    pooled = _fit(model, list(cases.values()), start)
    for architecture, names in ARCHITECTURES.items():
        own = _fit(model, [cases[name] for name in names], pooled)
        half = _fit(model, [cases[name].take(slice(0, None, 2)) for name in names], pooled)
        entries[architecture] = own
        for name in names:
            unseen = _fit(model, [case for each, case in cases.items() if each != name], start)
            odd = cases[name].take(slice(1, None, 2))
            notes.append(_figures(f"{name}, its architecture's constants", model, cases[name], own))
            notes.append(_figures(f"{name}, fitted to the other half", model, odd, half))
            notes.append(_figures(f"{name}, fitted to the other devices", model, cases[name], unseen))
    entries.update(dict.fromkeys(SUCCESSORS, "ampere"))
    entries["any"] = pooled
    return entries, notes


def _fit(
    model: KernelModel, cases: Sequence[Case], start: Constants, fixed: Constants | None = None
) -> Constants:
    """Return the constants that explain the cases best; those of the start that they do not see stay."""
    names = list(start)
    center = np.log([start[name] for name in names])
    measured = np.log(np.concatenate([case.measured_s for case in cases]))
    weights = np.concatenate([np.full(len(case.measured_s), len(case.measured_s) ** -0.5) for case in cases])
    bases = [
        {**model.coefficients(case.device, case.dtype), "call_s": _call_s(model, case), **(fixed or {})}
        for case in cases
    ]

    def errors(position: Floats) -> Floats:
        values = dict(zip(names, np.exp(position).tolist(), strict=True))
        modelled = [
            modelled_s(model, case, {**base, **values}) for case, base in zip(cases, bases, strict=True)
        ]
        scaled = (np.log(np.concatenate(modelled)) - measured) / LOSS_SCALE
        softened = np.sqrt(2 * (np.sqrt(1 + scaled**2) - 1)) * weights
        return np.concatenate([softened, PULL * (position - center)])

    found = least_squares(errors, center, bounds=(center - 2, center + 2), diff_step=0.01)
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(found.x), strict=True)}


def _call_s(model: KernelModel, case: Case) -> float:
    """Return the host's time as the smallest kernels of a case show it: the hosts of one device differ."""
    small = case.dims["rows"] * case.dims["cols"] < SMALL_ELEMENTS
    if model.kind == "elementwise":
        small &= case.dims["fn"] == "add"
    return float(np.median(case.measured_s[small])) / CALL_RATIOS.get(model.kind, 1.0)


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
