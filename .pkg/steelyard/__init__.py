"""Steelyard weighs deep-learning models before anyone pays for the hardware, then balances them.

    import steelyard as sy
    print(sy.annotate(model, inputs=x, train=True, target="h100-sxm"))

Importing it imports neither torch nor xdsl; each function does when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.hw.base.errors import SteelyardError as SteelyardError
    from steelyard.passes.annotate.target import Target as Target
    from steelyard.runtime.api.capacity import fits as fits
    from steelyard.runtime.api.capacity import max_batch as max_batch
    from steelyard.runtime.api.machine import calibrate as calibrate
    from steelyard.runtime.api.machine import calibrate_from as calibrate_from
    from steelyard.runtime.api.machine import characterize as characterize
    from steelyard.runtime.api.machine import detect_fusion as detect_fusion
    from steelyard.runtime.api.machine import device as device
    from steelyard.runtime.api.machine import devices as devices
    from steelyard.runtime.api.machine import learn as learn
    from steelyard.runtime.api.machine import validate_device as validate_device
    from steelyard.runtime.api.running import profile as profile
    from steelyard.runtime.api.running import run as run
    from steelyard.runtime.api.running import verify as verify
    from steelyard.runtime.api.tables import predict as predict
    from steelyard.runtime.api.tables import transfer as transfer
    from steelyard.runtime.api.watch import watch as watch
    from steelyard.runtime.api.weighing import annotate as annotate
    from steelyard.runtime.api.weighing import capture as capture
    from steelyard.runtime.api.weighing import check as check
    from steelyard.runtime.api.weighing import run_passes as run_passes

__version__ = "0.1.0"

_NAMES = {
    "hw.base.errors": ("SteelyardError",),
    "passes.annotate.target": ("Target",),
    "runtime.api.capacity": ("fits", "max_batch"),
    "runtime.api.machine": (
        "calibrate",
        "calibrate_from",
        "characterize",
        "detect_fusion",
        "device",
        "devices",
        "learn",
        "validate_device",
    ),
    "runtime.api.running": ("profile", "run", "verify"),
    "runtime.api.tables": ("predict", "transfer"),
    "runtime.api.watch": ("watch",),
    "runtime.api.weighing": ("annotate", "capture", "check", "run_passes"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
    return getattr(import_module(f"steelyard.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
