"""Format of a profile as a table, and as the trace that `transfer` reads."""

import json
from typing import Any

from steelyard.compiler.dialects.torch_op import operator_name
from steelyard.hw.base.units import format_us
from steelyard.hw.devices.device import Device
from steelyard.runtime.profile.profile import DistinctOp, Profiling

_WIDEST_SIGNATURE = 70


def trace(profiling: Profiling, device: Device, model: str) -> dict[str, Any]:
    """Return the ops with their work and what they took, for JSON; times are in milliseconds."""
    ops = [_entry(profiling, op) for op in profiling.ops]
    both = [each for each in ops if each["measured_ms"] is not None and each["predicted_ms"] is not None]
    measured_ms = sum(each["count"] * each["measured_ms"] for each in both)
    predicted_ms = sum(each["count"] * each["predicted_ms"] for each in both)
    return {
        "model": model,
        "device": device.name,
        "context": "eager",
        "threads": profiling.threads,
        "total": {
            "ops": sum(each["count"] for each in ops),
            "measured_ms": measured_ms,
            "predicted_ms": predicted_ms,
            "ratio": predicted_ms / measured_ms if measured_ms else None,
        },
        "ops": ops,
    }


def format_trace(profiling: Profiling, device: Device, model: str) -> str:
    """Return the same as JSON."""
    return json.dumps(trace(profiling, device, model), indent=1)


def format_table(profiling: Profiling, device: Device, model: str) -> str:
    """Return a row for each distinct op, the one that takes the most time first, and the sum."""
    found = trace(profiling, device, model)
    total = found["total"]
    ordered = sorted(found["ops"], key=lambda each: -each["count"] * (each["measured_ms"] or 0))
    lines = [f"{'count':>6} {'measured':>10} {'predicted':>10} {'ratio':>6}  op"]
    for each in [*ordered, {"count": total["ops"], **total, "signature": "all that were both"}]:
        lines.append(
            f"{each['count']:>6} {_time(each['measured_ms']):>10} {_time(each['predicted_ms']):>10} "
            f"{_ratio(each['ratio']):>6}  {_short(each['signature'])}"
        )
    where = f"{profiling.threads} threads" if profiling.threads else "one stream"
    lines.append(f"{model} on {device.name} ({where}): {profiling.new} ops measured now")
    return "\n".join(lines)


def _entry(profiling: Profiling, op: DistinctOp) -> dict[str, Any]:
    found = profiling.measured.get((op.signature, op.dtype))
    measured_s = found.median_s if found else None
    work = op.work
    return {
        "op": operator_name(op.op),
        "signature": op.signature,
        "dtype": op.dtype,
        "kind": op.kind,
        "dims": op.dims,
        "count": op.count,
        "measured_ms": _milliseconds(measured_s),
        "low_ms": _milliseconds(found.low_s if found else None),
        "high_ms": _milliseconds(found.high_s if found else None),
        "min_ms": _milliseconds(found.min_s if found else None),
        "repeats": found.repeats if found else 0,
        "predicted_ms": _milliseconds(op.predicted_s),
        "ratio": op.predicted_s / measured_s if measured_s and op.predicted_s is not None else None,
        "work": {
            "kind": work.kind,
            "contraction_flops": work.contraction_flops,
            "pointwise_flops": work.pointwise_flops,
            "transcendental_flops": work.transcendental_flops,
            "bytes_read": work.bytes_read,
            "bytes_written": work.bytes_written,
        }
        if work
        else None,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds * 1e3:.6g}")


def _time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else format_us(milliseconds * 1e3)


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _short(signature: str) -> str:
    if len(signature) <= _WIDEST_SIGNATURE:
        return signature
    return f"{signature[: _WIDEST_SIGNATURE - 3]}..."
