"""The alpha-beta model against hand arithmetic."""

from dataclasses import replace

import pytest

from steelyard.hw.base.errors import DeviceError, UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.collective import Ring, collective_latency


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
def test_an_impossible_ring_is_refused(ranks: int, bandwidth: float) -> None:
    with pytest.raises(UsageError, match="impossible figure"):
        Ring(ranks=ranks, latency_s=0, bandwidth_bytes_per_s=bandwidth)


def test_nccl_takes_the_protocol_that_is_fastest() -> None:
    h100 = load_device("h100-sxm")
    # LL: 3.6 us and 2 * 7 steps of 0.47 us. Simple: 8.4 us, 14 of 3.4 us, and 2 * 7/8 of the bytes at 0.8 of
    # 450 GB/s.
    small = collective_latency(h100, "all_reduce", 8, ranks=8)
    assert small.value_s == pytest.approx(3.6e-6 + 14 * 0.47e-6, rel=1e-3)
    large = collective_latency(h100, "all_reduce", 1_000_000_000, ranks=8)
    assert large.value_s == pytest.approx(8.4e-6 + 14 * 3.4e-6 + 1.75e9 / 360e9)
    assert (large.limiter, large.source) == ("link", "analytic")


def test_a_gather_and_a_scatter_are_half_an_all_reduce() -> None:
    cpu = load_device("cpu")
    whole = collective_latency(cpu, "all_reduce", 1_000_000, ranks=2).value_s
    assert whole == pytest.approx(2 * (160e-6 + 0.5e-3))
    for kind in ("all_gather_into_tensor", "reduce_scatter_tensor"):
        assert collective_latency(cpu, kind, 1_000_000, ranks=2).value_s == pytest.approx(whole / 2)


def test_pcie_is_slower_than_nvlink_by_latency_and_rate() -> None:
    over_pcie, over_nvlink = (
        collective_latency(load_device(name), "all_reduce", 1_000_000, ranks=4).value_s
        for name in ("h100-pcie", "h100-sxm")
    )
    assert over_pcie > 2 * over_nvlink


def test_nothing_is_sent_by_one_rank_and_a_device_without_link_is_refused() -> None:
    h100 = load_device("h100-sxm")
    alone = collective_latency(h100, "all_reduce", 1_000_000, ranks=1)
    assert (alone.value_s, alone.limiter) == (0, "none")
    with pytest.raises(DeviceError, match="no link to its peers"):
        collective_latency(replace(h100, link_bandwidth_bytes_per_s=None), "all_reduce", 8, ranks=2)
