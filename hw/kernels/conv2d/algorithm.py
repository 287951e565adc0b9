"""One way to compute convolutions, as a library could choose it."""

from dataclasses import dataclass

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.conv2d.execution_unit import ConvUnit


@dataclass(frozen=True, slots=True)
class Plan:
    """One algorithm, a row each; infinite time where it cannot be used.

    Attributes:
        name: As cuDNN calls it, in lower case.
        busy_s: Time on the device, launches apart.
        memory_s: The part of it that waits for memory.
        launches: How many kernels it is.
        workspace_bytes: Scratch memory.
    """

    name: str
    busy_s: Floats
    memory_s: Floats
    launches: int
    workspace_bytes: Floats


def transfer_s(unit: ConvUnit, constants: Coefficients, elements: Floats) -> Floats:
    """Return the seconds to move elements at the sustained part of the pin rate."""
    return elements * unit.element_bytes / (unit.bytes_per_s * constants["memory_fraction"])
