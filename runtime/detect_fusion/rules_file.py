"""Fusion rules as TOML: the verdict on each pair, with its times as evidence."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.detect_fusion.pair_timing import ALPHA, PARTS, Verdict

_HEAD = """# Two ops run as one kernel where first + second - both > alpha * min(first, second).
# Where the rounds of timing disagree, nothing is said of the pair."""


@dataclass(frozen=True, slots=True)
class FusionRules:
    """Rules of a file: pairs of ops, by name, that run as one kernel, and pairs that do not."""

    fused: frozenset[tuple[str, str]]
    apart: frozenset[tuple[str, str]]


def format_rules(verdicts: Sequence[Verdict], measured: Mapping[str, str | int]) -> str:
    """Return the text of a rules file.

    Args:
        verdicts: In the order of the file.
        measured: Conditions of the measurement: executor, machine, date.
    """
    head = {**measured, "alpha": ALPHA}
    lines = [_HEAD, "", "[measured]", *(f"{key} = {json.dumps(value)}" for key, value in head.items())]
    for verdict in verdicts:
        lines += ["", "[[pair]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in record(verdict).items()]
    return "\n".join(lines) + "\n"


def record(verdict: Verdict) -> dict[str, str | float | bool]:
    """Return the record of a pair; times are in microseconds, a spread is the ratio of quartiles."""
    found: dict[str, str | float | bool] = {"first": verdict.pair.first, "second": verdict.pair.second}
    if verdict.fused is not None:
        found["fused"] = verdict.fused
    found |= {
        "saved_share": round(verdict.saved_share, 3),
        "agreement": round(verdict.agreement, 3),
        "rounds": verdict.rounds,
    }
    for part in PARTS:
        found[f"{part}_us"] = round(verdict.times_s[part] * 1e6, 3)
        found[f"{part}_spread"] = round(verdict.spreads[part], 3)
    return found


def read_rules(path: Path) -> FusionRules:
    """Read the verdicts of a rules file.

    Raises:
        UsageError: The file cannot be read, or holds no rules.
    """
    try:
        pairs: Any = tomllib.loads(path.read_text(encoding="utf-8"))["pair"]
        verdicts = {(str(each["first"]), str(each["second"])): each.get("fused") for each in pairs}
    except OSError as error:
        raise UsageError(what="the file cannot be read", where=str(path), why=str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            what="the file holds no fusion rules",
            where=str(path),
            why=f"it has no {error}" if isinstance(error, KeyError) else str(error),
            fix="write one with: steelyard detect-fusion -o rules.toml",
        ) from error
    return FusionRules(
        fused=frozenset(pair for pair, fused in verdicts.items() if fused is True),
        apart=frozenset(pair for pair, fused in verdicts.items() if fused is False),
    )
