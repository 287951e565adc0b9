"""Local profile of a device: measurements by op signature, and by kind and dims."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.profile_store import Measurement, ProfileStore, local_store


@dataclass(frozen=True, slots=True)
class Profile:
    """Measurements on one device, in one context, with one thread count.

    Attributes:
        ops: By signature and the type that is calculated in.
        kernels: Those of one kernel, by kind and type.
    """

    ops: dict[tuple[str, str], Measurement]
    kernels: dict[tuple[str, str], tuple[Measurement, ...]]

    def __hash__(self) -> int:
        return id(self)  # one object a file, device and context: see `_profile`

    def __eq__(self, other: object) -> bool:
        return self is other

    def op(self, signature: str, dtype: DType) -> Measurement | None:
        """Return what an op took, None where it was not measured."""
        return self.ops.get((signature, dtype))


def local_profile(device: Device, context: ExecutionContext) -> Profile | None:
    """Return what the user's profile knows of a device in a context, None where it knows nothing.

    With no number of threads in the context it is that of the device's calibration, else the largest that was
    measured. What ran with f32 products in f32 says nothing of a context in which they are TF32.

    Raises:
        DeviceError: The profile is damaged or no profile.
    """
    store = local_store()
    if store is None or not store.path.exists():
        return None
    if context.tf32 and "tf32" in device.matrix_peak_flops_per_s:
        return None
    threads = context.threads
    if threads is None and device.sustained:
        threads = device.sustained_with(None).threads
    if device.kind == "gpu":
        threads = None
    stamp = store.path.stat()
    return _profile(store.path, (stamp.st_mtime_ns, stamp.st_size), device.name, context.mode, threads)


@lru_cache(maxsize=16)
def _profile(
    path: Path, stamp: tuple[int, int], device: str, mode: str, threads: int | None
) -> Profile | None:
    """Read the file once for each state that it has had; `stamp` tells them apart."""
    found = ProfileStore(path).of(device, mode)
    if threads is None:
        threads = max((each.threads for each in found), default=0)
    found = [each for each in found if each.threads == threads]
    if not found:
        return None
    kernels: dict[tuple[str, str], list[Measurement]] = {}
    for each in found:
        if each.kind:
            kernels.setdefault((each.kind, each.dtype), []).append(each)
    return Profile(
        ops={(each.signature, each.dtype): each for each in found},
        kernels={key: tuple(group) for key, group in kernels.items()},
    )
