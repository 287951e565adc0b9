"""Fusion rules as TOML: the verdicts, and the times as evidence."""

from collections.abc import Mapping, Sequence

from steelyard.runtime.detect_fusion.rules import ALPHA, FusionRule


def format_rules(rules: Sequence[FusionRule], executor: str, machine: Mapping[str, str | int]) -> str:
    """Return the text of a rules file; the same rules give the same text.

    Args:
        rules: In the order of the file.
        executor: What ran the programs.
        machine: What the times depend on.
    """
    head = {"executor": executor, **machine, "alpha": ALPHA}
    lines = [
        "# Ops run as one kernel where producer + consumer - both > alpha * min(producer, consumer).",
        "# readers = 2: an addition reads the producer's result too, and belongs to the consumer.",
        "",
        "[measured]",
        *(f"{key} = {_value(value)}" for key, value in head.items()),
    ]
    for rule in rules:
        lines += ["", "[[rule]]", *(f"{key} = {_value(value)}" for key, value in _fields(rule).items())]
    return "\n".join(lines) + "\n"


def _fields(rule: FusionRule) -> dict[str, str | int | float | bool]:
    return {
        "producer": rule.pair.producer,
        "consumer": rule.pair.consumer,
        "readers": rule.pair.readers,
        "fuses": rule.fuses,
        "saved_share": round(rule.saved_share, 3),
        "producer_us": round(1e6 * rule.producer_s, 3),
        "consumer_us": round(1e6 * rule.consumer_s, 3),
        "both_us": round(1e6 * rule.both_s, 3),
        "rounds": rule.rounds,
        "stable": rule.stable,
    }


def _value(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
