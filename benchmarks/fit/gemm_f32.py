"""Fit the constants of products on vector lanes, and write hw/kernels/gemm/gemm_simt.toml and bmm_simt.toml.

    python benchmarks/fit/gemm_f32.py ../shared/measured

Least squares on log ratios with a robust loss, all constants positive; deterministic. Prints how well each
fit does on rows, and on a device, that it has not seen. hw/kernels/common/power.toml is fitted before, on
other data.
"""

import sys
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
from gemm_f32_rows import Case, Kind, deepbench_cases, model_cases, random_cases
from numpy.typing import NDArray
from scipy.optimize import least_squares

import steelyard.hw.kernels
from steelyard.hw.kernels.common.dispatch import call_coefficients
from steelyard.hw.kernels.common.kernel_model import Launches
from steelyard.hw.kernels.common.power import usual_power_fraction
from steelyard.hw.kernels.gemm.simt import SimtGemm

FAMILIES = {
    "p100-pcie": "sm60",
    "p4": "sm61-slot",
    "v100-pcie-32gb": "sm70",
    "t4": "sm75-slot",
    "a100-40gb-pcie": "sm80",
}
COMMON = {
    "cycles_per_step": 1.0,
    "operand_load_cycles": 6.0,
    "prologue_steps": 10.0,
    "wait_cycles": 200.0,
    "unaligned_cycles": 0.02,
    "power_fraction": 0.85,
    "memory_fraction": 0.7,
    "operand_fraction": 0.5,
    "cache_fraction": 0.5,
}
START: dict[Kind, dict[str, float]] = {
    "bmm": COMMON,
    "gemm": COMMON | {"far_load_cycles": 3.0, "far_bytes": 150e6, "long_row_cycles": 0.2, "split_s": 3e-6},
}
MEANT = {"gemm": "linear layers with a bias", "bmm": "batched products"}

LOSS_SCALE = 0.1
"""Log ratios above this count linearly: cuBLAS chose another kernel, or the clock was another."""

LEAD_FRACTION: dict[Kind, float] = {"gemm": 0.79, "bmm": 0.69}
"""Medians of what the devices have on their own. It belongs to the framework; where a device has its own, it
makes up for how long its host takes, of which nothing is known elsewhere."""

LARGEST = {
    "power_fraction": usual_power_fraction(),
    "memory_fraction": 0.95,
    "operand_fraction": 0.95,
    "cache_fraction": 1.0,
}
LEAST = {"power_fraction": 0.5}

ALIKE = (("p100-pcie", "p4"), ("v100-pcie-32gb", "t4", "a100-40gb-pcie"))
"""Devices that run the same kernels of cuBLAS: `maxwell_sgemm`, and `volta_sgemm` with `ampere_sgemm`."""

SAME_SMS = {"t4": "v100-pcie-32gb"}
"""Devices whose SMs do f32 products as another's, in the same kernels. What slows T4 down is its clock; held
apart from the cycles by nothing, that would hide among them."""

ARITHMETIC = ("cycles_per_step", "operand_load_cycles", "prologue_steps", "far_load_cycles", "far_bytes")

SLOT = ("p4", "t4")
"""Boards that draw their power from the slot. What power they had left says how hot they got; others have the
usual part, which hid among the cycles where it was fitted."""

PULL = 1.0
"""Weight of a constant's log distance from its start, in rows: it holds what the rows do not tell apart."""

FIT_ROWS = 1500
"""Rows of a device beyond which constants no longer change."""

MEMORY = ("memory_fraction", "operand_fraction")
"""What later devices with GDDR take from T4 and those with HBM from A100, whose DRAM is nearest to theirs."""

_MARGIN = 0.01
_TINY = 1e-12

Constants = dict[str, float]


def main() -> None:
    root = Path(sys.argv[1])
    slot_power = 0.0
    for kind in START:
        own, notes = _fit_kind(root, kind)
        # Linear layers on P4 wait for memory, so that batched products alone show its power.
        slot_power = slot_power or prod(own[name]["power_fraction"] for name in SLOT) ** (1 / len(SLOT))
        _write(kind, own, slot_power, notes)


def _fit_kind(root: Path, kind: Kind) -> tuple[dict[str, Constants], list[str]]:
    cases = {case.device.name: case for case in random_cases(root, kind)}
    few = {name: case.split(FIT_ROWS)[0] for name, case in cases.items()}
    own = {name: _fit_own(case, _known(name, kind)) for name, case in few.items()}
    for name, twin in SAME_SMS.items():
        arithmetic = {each: own[twin][each] for each in ARITHMETIC if each in START[kind]}
        own[name] = _fit_own(few[name], _known(name, kind) | arithmetic)
    notes: list[str] = []
    for name, case in cases.items():
        notes.append(_score(f"{name}, its own constants", case, own[name]))
        others = [few[other] for group in ALIKE if name in group for other in group if other != name]
        held = {each: _known(each, kind) | {"power_fraction": own[each]["power_fraction"]} for each in own}
        joint = _fit(others, START[kind], held) | held[name]
        title = f"{name}, its power, else fitted to {' and '.join(other.device.name for other in others)}"
        notes.append(_score(title, case, joint))
    for case in model_cases(root, kind):
        notes.append(_score(f"{case.device.name}, layers of whole models", case, own[case.device.name]))
    for case in deepbench_cases(root, kind):
        family = "p100-pcie" if "p100" in case.device.name else "v100-pcie-32gb"
        notes.append(_score(f"{case.device.name}, DeepBench, the constants of {family}", case, own[family]))
    print(f"{kind}:", *notes, sep="\n", flush=True)
    return own, notes


def _known(name: str, kind: Kind) -> Constants:
    """Return what is not fitted to a device."""
    power = {} if name in SLOT else {"power_fraction": usual_power_fraction()}
    return power | {"lead_fraction": LEAD_FRACTION[kind]}


def _fit_own(case: Case, known: Constants) -> Constants:
    return _fit([case], START[case.kind], {case.device.name: known}) | known


def _fit(cases: Sequence[Case], start: Constants, held: Mapping[str, Constants]) -> Constants:
    """Return the constants that explain the cases best, without those that hold for a device by its name."""
    known = [held[case.device.name] for case in cases]
    names = [name for name in start if name not in known[0]]
    origin = np.log([start[name] for name in names])
    largest = np.log([LARGEST.get(name, np.inf) for name in names])
    least = np.log([LEAST.get(name, _TINY) for name in names])
    fewest = min(len(case) for case in cases)

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        coefficients = dict(zip(names, np.exp(logs).tolist(), strict=True))
        # Each device weighs alike.
        parts: list[NDArray[np.float64]] = []
        for case, own in zip(cases, known, strict=True):
            ratio = _seconds(case, {**coefficients, **own}) / case.measured_s
            parts.append(np.log(ratio) * np.sqrt(fewest / len(case)))
        return np.concatenate([*parts, PULL * (logs - origin)])

    solved = least_squares(
        residuals,
        np.minimum(origin, largest - _MARGIN),
        bounds=(least, largest),
        loss="soft_l1",
        f_scale=LOSS_SCALE,
        diff_step=0.01,
        max_nfev=40,
    )
    return {name: float(f"{value:.4g}") for name, value in zip(names, np.exp(solved.x), strict=True)}


def _seconds(case: Case, coefficients: Mapping[str, float]) -> NDArray[np.float64]:
    whole = {**call_coefficients(case.device), **coefficients}
    return SimtGemm(case.kind).estimate(Launches(case.device, "f32", case.context, case.dims, whole)).seconds


def _score(title: str, case: Case, coefficients: Mapping[str, float]) -> str:
    error = _seconds(case, coefficients) / case.measured_s - 1
    mape, median, bias = 100 * np.mean(abs(error)), 100 * np.median(abs(error)), 100 * np.median(error)
    return f"{title}: {len(case)} rows, MAPE {mape:.1f} %, median {median:.1f} %, bias {bias:+.1f} %"


def _write(kind: Kind, own: Mapping[str, Constants], slot_power: float, notes: Sequence[str]) -> None:
    lines = [
        f"# f32 {MEANT[kind]} on vector lanes; hw/kernels/gemm/simt.py says what each constant means.",
        "# Written by benchmarks/fit/gemm_f32.py. Bias is that of the median row.",
        *(f"# {note}" for note in notes),
    ]
    for family, entry in _entries(kind, own, slot_power).items():
        lines += ["", f"[f32.{family}]"]
        lines += [f'like = "{entry}"'] if isinstance(entry, str) else [f"{k} = {v}" for k, v in entry.items()]
    lines += [
        "",
        "[sources]",
        f'rows = "train_{"linear" if kind == "gemm" else "bmm"}, github.com/sitar-lab/NeuSight at 6945927"',
    ]
    path = Path(steelyard.hw.kernels.__file__).parent / "gemm" / f"{kind}_simt.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entries(kind: Kind, own: Mapping[str, Constants], slot_power: float) -> dict[str, Constants | str]:
    """Return the constants of each family, or the name of the one whose constants it takes."""
    entries: dict[str, Constants | str] = {FAMILIES[name]: found for name, found in own.items()}
    usual = {"power_fraction": usual_power_fraction()}
    for name in SLOT:  # cards with the same SMs that have a fan
        entries[FAMILIES[name].removesuffix("-slot")] = {**own[name], **usual}
    memory = {name: own["t4"][name] for name in MEMORY}
    entries["sm86"] = {**own["a100-40gb-pcie"], **memory}
    entries["sm86-slot"] = {**own["a100-40gb-pcie"], **memory, "power_fraction": float(f"{slot_power:.4g}")}
    for successor in ("sm89", "sm120"):
        entries |= {successor: "sm86", f"{successor}-slot": "sm86-slot"}
    if kind == "bmm":  # Hopper chooses among tiles, as V100 does and A100 does not
        later = {name: own["a100-40gb-pcie"][name] for name in MEMORY}
        entries["sm90"] = {**own["v100-pcie-32gb"], **later}
    return {**entries, "any": "sm80"}


if __name__ == "__main__":
    main()
