"""The alpha-beta model against hand arithmetic."""

import pytest

from steelyard.hw.collective import Ring
from steelyard.hw.errors import UsageError


def test_all_reduce_is_two_passes_round_the_ring() -> None:
    ring = Ring(ranks=4, latency_s=1e-6, bandwidth_bytes_per_s=1e9)
    # 2 * 3 steps of 1 us, and 2 * 3/4 of 4 MB at 1 GB/s.
    assert ring.all_reduce_s(4_000_000) == pytest.approx(6e-6 + 6e-3)
    assert ring.all_gather_s(4_000_000) == pytest.approx(3e-6 + 3e-3)


def test_one_rank_has_nothing_to_send() -> None:
    assert Ring(ranks=1, latency_s=1e-6, bandwidth_bytes_per_s=1e9).all_reduce_s(1_000_000) == 0


def test_a_small_message_costs_the_latency() -> None:
    ring = Ring(ranks=8, latency_s=5e-6, bandwidth_bytes_per_s=1e12)
    assert ring.all_reduce_s(4) == pytest.approx(14 * 5e-6, rel=1e-4)


@pytest.mark.parametrize(("ranks", "bandwidth"), [(0, 1e9), (2, 0.0)])
def test_what_is_no_ring_is_refused(ranks: int, bandwidth: float) -> None:
    with pytest.raises(UsageError, match="no ring"):
        Ring(ranks=ranks, latency_s=0, bandwidth_bytes_per_s=bandwidth)
