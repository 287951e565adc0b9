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
    from steelyard.runtime.api.calls import annotate as annotate
    from steelyard.runtime.api.calls import capture as capture
    from steelyard.runtime.api.calls import check as check
    from steelyard.runtime.api.calls import devices as devices
    from steelyard.runtime.api.calls import predict as predict
    from steelyard.runtime.api.calls import run_passes as run_passes
    from steelyard.runtime.api.calls import verify as verify
    from steelyard.runtime.api.capacity import fits as fits
    from steelyard.runtime.api.capacity import max_batch as max_batch
    from steelyard.runtime.api.watch import watch as watch

__version__ = "0.1.0"

_MODULES = {
    "SteelyardError": "hw.base.errors",
    "Target": "passes.annotate.target",
    "fits": "runtime.api.capacity",
    "max_batch": "runtime.api.capacity",
    "watch": "runtime.api.watch",
    **dict.fromkeys(
        ("annotate", "capture", "check", "devices", "predict", "run_passes", "verify"),
        "runtime.api.calls",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
    return getattr(import_module(f"steelyard.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
