"""What a report says in one paragraph: what limits the program, and what is alive when most is."""

from textwrap import fill

from steelyard.compiler.analysis.storages import path_of
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.hw.base.units import format_bytes, format_us
from steelyard.hw.devices.device import Device
from steelyard.runtime.report.summary import Report

_LIMITERS = {
    "compute": "arithmetic",
    "memory": "memory traffic",
    "link": "the links between devices",
    "launch": "the launch of kernels",
    "host": "the host, which dispatches op by op",
    "none": "nothing",
}


def verdict(report: Report, device: Device, width: int = 100) -> str:
    """One paragraph on the time and the memory of a program.

    Args:
        report: Its totals.
        device: Whose memory it has to fit into.
        width: Of a line.
    """
    sentences = [*_time(report), *_memory(report, device)]
    return fill(" ".join(sentences), width, break_long_words=False, break_on_hyphens=False)


def _time(report: Report) -> list[str]:
    value_us, low_us, high_us = report.latency_us
    if not value_us:
        return []
    step = "A training step" if report.mode == "train" else "A forward pass"
    limiter, limited_us = next(iter(report.latency_by_limiter.items()))
    ops = report.group_flat("op")
    sources = ", ".join(
        f"{part_us / value_us:.0%} {name}" for name, part_us in report.latency_by_source.items()
    )
    name = max(ops, key=lambda each: ops[each].latency_us)
    return [
        f"{step} takes {format_us(value_us)} on {report.device}",
        f"({format_us(low_us)} to {format_us(high_us)}; {sources}).",
        f"{limited_us / value_us:.0%} of that is limited by {_LIMITERS[limiter]};",
        f"the op that takes longest is {name} ({ops[name].latency_us / value_us:.0%}).",
    ]


def _memory(report: Report, device: Device) -> list[str]:
    memory, capacity_bytes = report.memory, device.memory_capacity_bytes.value
    fits = "fit into" if memory.peak_bytes <= capacity_bytes else "DO NOT FIT into"
    roles = ", ".join(f"{role} {format_bytes(size)}" for role, size in report.memory_by_role.items() if size)
    sentences = [
        f"At the peak {format_bytes(memory.peak_bytes)} of tensors are alive{peak_place(report)}:",
        f"{roles}; they {fits} the {format_bytes(capacity_bytes)} of the device.",
    ]
    largest = list(report.memory_by_path.items())[:3]
    if largest:
        paths = ", ".join(f"{path or '(model)'} {format_bytes(size)}" for path, size in largest)
        sentences.append(f"Of what the step makes itself, the most is from {paths}.")
    return sentences


def peak_place(report: Report) -> str:
    """Where the peak is, as ` at aten.mm in lm_head`; empty in a program without ops."""
    if not report.memory.peak_at:
        return ""
    path = path_of(report.memory.peak_at)
    last = report.memory.peak_at[-1]
    name = operator_name(last) if isinstance(last, TorchOp) else last.name
    return f" at {name}" + (f" in {path}" if path else "")
