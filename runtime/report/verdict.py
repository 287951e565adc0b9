"""The summary of a program in one paragraph: its time and limiter, its peak of memory."""

from textwrap import fill

from steelyard.hw.base.units import format_bytes, format_us
from steelyard.hw.devices.device import Device
from steelyard.passes.annotate.latency import HOST_DISPATCH, HOST_LINK
from steelyard.runtime.report.summary import PeakMemory, Summary

_LIMITERS = {
    "compute": "arithmetic",
    "memory": "memory traffic",
    "link": "the links between devices",
    "launch": "kernel launches",
    HOST_LINK: "copies to and from the host",
    "host": "the host, which dispatches op by op",
    HOST_DISPATCH: "the host, which dispatches op by op",
    "none": "nothing",
}

_WORTH_TELLING = 0.1
"""Of the time: what less would save is not worth a sentence."""


def verdict(summary: Summary, device: Device, width: int = 100) -> str:
    """One paragraph on the time and the memory of a program.

    Args:
        summary: Of the program.
        device: Whose memory it has to fit into.
        width: Of a line.
    """
    sentences = [*_time(summary, device), *_memory(summary, device)]
    return fill(" ".join(sentences), width, break_long_words=False, break_on_hyphens=False)


def _time(summary: Summary, device: Device) -> list[str]:
    value_us, low_us, high_us = summary.latency_us
    left_out = _left_out(summary)
    if not value_us:
        return left_out
    step = "A training step" if summary.mode == "train" else "A forward pass"
    limiter, limited_us = next(iter(summary.latency_by_limiter.items()))
    ops = {name: each for name, each in summary.group_flat("op").items() if each.ops}
    sources = ", ".join(
        f"{part_us / value_us:.0%} {name}" for name, part_us in summary.latency_by_source.items()
    )
    name = max(ops, key=lambda each: ops[each].latency_us)
    return [
        f"{step} takes {'at least ' * bool(left_out)}{format_us(value_us)} on {device.name}",
        f"({format_us(low_us)} to {format_us(high_us)}; {sources}).",
        f"{limited_us / value_us:.0%} of that is limited by {_LIMITERS[limiter]};",
        f"slowest op: {name} ({summary.share(ops[name]):.0%}).",
        *_host_bound(summary),
        *left_out,
    ]


def _host_bound(summary: Summary) -> list[str]:
    """Advice on a host that dispatches op by op, with the time to win."""
    waited_us = summary.latency_by_limiter.get(HOST_DISPATCH, 0.0)
    if waited_us < _WORTH_TELLING * summary.latency_us[0]:
        return []
    return [f"The device waits for its host: CUDA graphs or torch.compile would save {format_us(waited_us)}."]


def _left_out(summary: Summary) -> list[str]:
    """The ops that no total counts."""
    if not summary.unknown:
        return []
    names = ", ".join(f"{name} ({count})" for name, count in summary.unknown.items())
    return [f"Ops of unknown work are in no total: {names}."]


def _memory(summary: Summary, device: Device) -> list[str]:
    memory, capacity_bytes = summary.memory, device.memory_capacity_bytes.value
    fits = "fit into" if memory.bytes <= capacity_bytes else "DO NOT FIT into"
    beside = ", beside what the ops of unknown work take for themselves" * bool(summary.unknown)
    roles = ", ".join(f"{role} {format_bytes(size)}" for role, size in memory.by_role.items())
    sentences = [
        f"At the peak {format_bytes(memory.bytes)} of tensors are alive{_place(memory)}:",
        f"{roles}; they {fits} the {format_bytes(capacity_bytes)} of the device{beside}.",
    ]
    if memory.low_bytes < memory.bytes:
        sentences.append(
            f"It is {format_bytes(memory.low_bytes)} at least: the scratch of kernels differs by instruction "
            "set, and that of this CPU is not known."
        )
    largest = list(memory.by_path.items())[:3]
    if largest:
        paths = ", ".join(f"{path or '(model)'} {format_bytes(size)}" for path, size in largest)
        sentences.append(f"Largest tensors the step allocates: {paths}.")
    return sentences


def _place(memory: PeakMemory) -> str:
    """The place of the peak, as ` at aten.mm in lm_head`; empty in a program without ops."""
    return f" at {memory.op}" * bool(memory.op) + f" in {memory.path}" * bool(memory.path)
