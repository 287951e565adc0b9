"""Measured devices played as if nobody had seen them: constants of an architecture, nothing of their host."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from steelyard.hw.device import Device
from steelyard.hw.errors import DeviceError
from steelyard.hw.kernels.fit import Case, modelled_s
from steelyard.hw.kernels.model import KernelModel
from steelyard.hw.kernels.query import Floats
from steelyard.hw.work import DType

GENERATIONS: Mapping[DType, tuple[str, ...]] = {
    "f32": ("pascal", "volta", "turing", "ampere"),
    "bf16": ("ampere", "hopper"),
}
"""The measured architectures of a type in the order of their years."""


def played_as_unseen(model: KernelModel, case: Case) -> Iterator[tuple[str, Floats]]:
    """Yield an architecture and the times that its constants give a device, in seconds.

    The first is the device's own, as where a sibling was measured; the others are those next to it in time.
    """
    unseen = _without_host(case.device)
    names = GENERATIONS[case.dtype]
    own = names.index(case.device.architecture)
    beside = [names[index] for index in (own - 1, own + 1) if 0 <= index < len(names)]
    for architecture in (names[own], *beside):
        try:
            constants = model.coefficients(replace(unseen, architecture=architecture), case.dtype)
        except DeviceError:
            continue
        yield architecture, modelled_s(model, replace(case, device=unseen), constants)


def _without_host(device: Device) -> Device:
    entries = (
        replace(entry, dispatch_overhead_s=None, launch_overhead_s=None, call_overhead_s=None)
        for entry in device.sustained
    )
    return replace(device, sustained=tuple(entries))
