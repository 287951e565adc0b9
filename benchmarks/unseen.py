"""Measured devices played as if nobody had seen them: constants of an architecture, nothing of their host."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device, MemoryKind
from steelyard.hw.fitting.fit_coefficients import Case, modelled_s
from steelyard.hw.kernels.common.kernel_model import KernelModel
from steelyard.hw.kernels.common.kernel_queries import Floats

GENERATIONS: Mapping[tuple[DType, MemoryKind], tuple[tuple[str, str], ...]] = {
    ("f32", "hbm"): (("pascal", "6.0"), ("volta", "7.0"), ("ampere", "8.0")),
    ("f32", "gddr"): (("pascal", "6.1"), ("turing", "7.5"), ("ampere", "8.6")),
    ("bf16", "hbm"): (("ampere", "8.0"), ("hopper", "9.0")),
}
"""The measured architectures of a type and a sort of memory, by compute capability, in the order of their
years. Boards with HBM and with GDDR are different machines, of several hundred and of 70 to 75 W here. The
last with GDDR was not measured: its constants are A100's, as are those of every later device."""


def played_as_unseen(model: KernelModel, case: Case) -> Iterator[tuple[str, Floats]]:
    """Yield a compute capability and the times that its constants give a device, in seconds.

    The first is the device's own, as where a sibling was measured; the others are those next to it in time.
    """
    unseen = _without_host(case.device)
    for stand_in in (unseen, *neighbours(unseen, case.dtype)):
        try:
            constants = model.coefficients(stand_in, case.dtype)
        except DeviceError:
            continue
        times = modelled_s(model, replace(case, device=unseen), constants)
        yield f"sm_{(stand_in.compute_capability or '').replace('.', '')}", times


def neighbours(device: Device, dtype: DType) -> list[Device]:
    """Return the device under the names of the measured architectures before and after its own."""
    names = GENERATIONS[dtype, device.memory_kind]
    own = names.index((device.architecture, device.compute_capability or ""))
    beside = [names[index] for index in (own - 1, own + 1) if 0 <= index < len(names)]
    return [replace(device, architecture=name, compute_capability=version) for name, version in beside]


def _without_host(device: Device) -> Device:
    entries = (
        replace(entry, dispatch_overhead_s=None, launch_overhead_s=None, call_overhead_s=None)
        for entry in device.sustained
    )
    return replace(device, sustained=tuple(entries))
