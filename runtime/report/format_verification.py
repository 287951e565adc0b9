"""Format of a verification as a table."""

from typing import TYPE_CHECKING

from steelyard.hw.base.units import bounded, format_bytes, format_flops, format_us

if TYPE_CHECKING:
    from steelyard.runtime.calibrate.drift import Drift
    from steelyard.runtime.verify.verify import Verification


def format_verification(found: "Verification") -> str:
    """Return predicted and measured figures, FLOP counts, numerics and the verdict."""
    time, memory = found.step_time_ms, found.peak_memory_bytes
    interval = f"{format_us((time.low or 0) * 1e3)} to {format_us((time.high or 0) * 1e3)}"
    rows = [
        ("", "predicted", "measured", "ratio", "interval"),
        (
            "step time",
            bounded(format_us, time.predicted * 1e3, found.num_unknown),
            format_us(time.measured * 1e3),
            f"{time.ratio:.3f}",
            interval,
        ),
        (
            "peak memory",
            bounded(format_bytes, memory.predicted, found.num_unknown),
            format_bytes(memory.measured),
            f"{memory.ratio:.3f}",
            "",
        ),
    ]
    table = [f"{a:<12}{b:>12}{c:>12}{d:>8}  {e}".rstrip() for a, b, c, d, e in rows]
    if found.drift:
        table.append(f"{'drift':<12}{_drift(found.drift)}")
    ours = bounded(format_flops, found.flops_ours, found.num_unknown)
    theirs = "" if found.flops_torch is None else f"; torch's counter has {format_flops(found.flops_torch)}"
    if found.unknown_by_op:
        names = ", ".join(f"{name} ({count})" for name, count in found.unknown_by_op.items())
        table.append(f"{'not known':<12}the work of {names}: predictions are lower bounds")
    judged = "within" if found.ok else "NOT within"
    return "\n".join(
        [
            f"{found.model}: {found.mode} on {found.device}, measured on this CPU",
            f"holds for: {'; '.join(found.conditions)}",
            "",
            *table,
            f"{'FLOPs':<12}{ours} of contractions{theirs}",
            f"{'numerics':<12}{_numerics(found)}, against eager PyTorch",
            "",
            f"{judged} the tolerance of {found.tolerance:.0%}",
            *_advice(found),
        ]
    )


def _numerics(found: "Verification") -> str:
    if found.not_compared:
        return f"not compared, since the program cannot run ({found.not_compared})"
    if found.different:
        return f"{len(found.different)} results differ, by {found.max_abs_diff:.3g} at most"
    return "equal within the rounding of their dtype" if found.rewritten else "equal bit for bit"


def _advice(found: "Verification") -> list[str]:
    """The first thing to do about a time out of tolerance."""
    if found.drift or abs(found.step_time_ms.ratio - 1) <= found.tolerance:
        return []
    how = "steelyard calibrate -o local.toml, then --device local.toml"
    return [f"calibrate first, {found.device} holds no measurements of this machine: {how}"]


def _drift(drift: "Drift") -> str:
    slowdown = drift.slowdown
    direction = f"{slowdown:.2f}x slower" if slowdown >= 1 else f"{1 / slowdown:.2f}x faster"
    by_kind = ", ".join(f"{kind} {each:.2f}x" for kind, each in sorted(drift.slowdowns.items()))
    advice = "; it is not what it was: calibrate again before judging the model" * drift.is_large
    return f"this machine is {direction} than when calibrated{advice} ({by_kind})"
