"""Two clocks, of a host that dispatches kernels ahead and of the device that runs them.

Each piece of a program moves both clocks by a linear map of the max-plus algebra, where maximum is the
addition and addition the product (Baccelli et al., Synchronization and Linearity, 1992, chapter 1). Maps
compose, so a function that is called eighty times is walked once.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Clocks:
    """The map of both clocks over a piece of a program: where each is after it, given where they were.

    host' = max(host + host_to_host, device + device_to_host)
    device' = max(host + host_to_device, device + device_to_device)

    Attributes:
        host_to_host: Microseconds of the host; likewise the others, -inf where no clock waits.
        device_to_host: Over a synchronisation.
        host_to_device: Over kernels that wait for their dispatch.
        device_to_device: Of the device alone.
    """

    host_to_host: float = 0.0
    device_to_host: float = -inf
    host_to_device: float = -inf
    device_to_device: float = 0.0

    def __matmul__(self, after: "Clocks") -> "Clocks":
        """Return the map of this piece and then another."""
        return Clocks(
            max(self.host_to_host + after.host_to_host, self.host_to_device + after.device_to_host),
            max(self.device_to_host + after.host_to_host, self.device_to_device + after.device_to_host),
            max(self.host_to_host + after.host_to_device, self.host_to_device + after.device_to_device),
            max(self.device_to_host + after.host_to_device, self.device_to_device + after.device_to_device),
        )

    @property
    def end_us(self) -> float:
        """The later clock after the piece, if both start at 0: the time between two synchronisations."""
        return max(self.host_to_host, self.device_to_host, self.host_to_device, self.device_to_device)


def dispatched(host_us: float, kernel_us: float) -> Clocks:
    """The map of a kernel: the host goes on after its dispatch, the device starts once both are ready."""
    host_us, kernel_us = _exact(host_us), _exact(kernel_us)
    return Clocks(host_us, -inf, host_us + kernel_us, kernel_us)


def host_only(host_us: float) -> Clocks:
    """The map of what launches nothing, such as a view."""
    return Clocks(host_to_host=_exact(host_us))


SYNCHRONISATION = Clocks(0.0, 0.0, 0.0, 0.0)
"""The host waits until the device has done all it was given."""


def _exact(time_us: float) -> float:
    """A whole number of 2^-20 us, of which sums are exact and do not depend on their order."""
    return round(time_us * 2**20) / 2**20
