"""Registry of kernel kinds: every recipe of `steelyard.hw.kernels.kinds`, by its name."""

from importlib import import_module
from pkgutil import iter_modules

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.kernels import kinds
from steelyard.hw.kernels.common.kernel_kind import KernelKind


def load_kinds() -> dict[str, KernelKind]:
    """Return the `KIND` of each module of the room `kinds`."""
    modules = (import_module(f"{kinds.__name__}.{found.name}") for found in iter_modules(kinds.__path__))
    return {module.KIND.name: module.KIND for module in modules}


KINDS = load_kinds()


def kind_of_regressor(name: str) -> KernelKind:
    """Return the kind that a learned regressor is for.

    Raises:
        UsageError: No kind has a regressor of this name.
    """
    for kind in KINDS.values():
        if name in kind.regressors:
            return kind
    known = [each for kind in KINDS.values() for each in kind.regressors]
    raise UsageError(what=f"no regressor is learned for {name!r}", fix=did_you_mean(name, known))
