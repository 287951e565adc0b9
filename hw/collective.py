"""How long a collective takes: the alpha-beta model of ring algorithms.

Every step of a ring costs a latency alpha and moves one part of the message over one link at its bandwidth.
Source of the formulas: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations
in MPICH", IJHPCA 19(1), 2005, sections 4.1 and 4.5.
"""

from dataclasses import dataclass

from steelyard.hw.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Ranks in a ring, all of whose links are alike.

    Attributes:
        ranks: How many ranks there are.
        latency_s: Time that a message takes besides its bytes (alpha), seconds.
        bandwidth_bytes_per_s: One-way rate of one link.

    Raises:
        UsageError: There is no rank, or a link has no bandwidth.
    """

    ranks: int
    latency_s: float
    bandwidth_bytes_per_s: float

    def __post_init__(self) -> None:
        if self.ranks < 1 or self.bandwidth_bytes_per_s <= 0 or self.latency_s < 0:
            raise UsageError(
                what="this is no ring",
                why=f"{self.ranks} ranks, {self.bandwidth_bytes_per_s} bytes/s, latency {self.latency_s} s",
            )

    def all_gather_s(self, total_bytes: int) -> float:
        """Seconds until all ranks have all of `total_bytes`: (n-1) alpha + (n-1)/n bytes / bandwidth."""
        steps = self.ranks - 1
        return steps * self.latency_s + steps / self.ranks * total_bytes / self.bandwidth_bytes_per_s

    def all_reduce_s(self, message_bytes: int) -> float:
        """Seconds until all ranks have the sum: a reduce-scatter, then an all-gather, both as long."""
        return 2 * self.all_gather_s(message_bytes)
