"""The rung of learned regressors: what it prices, and what it leaves to those below."""

from dataclasses import replace
from datetime import date
from math import exp, log2

import numpy as np
import pytest

from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.learned_models import LAW, Accuracy, Learned, Regressor
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.ladder import Ladder
from steelyard.hw.latency.learned_rung import law_amounts, learned_features, learned_prices

EAGER = ExecutionContext()
GOOD = Accuracy(kernels=20, within_5_percent=1.0, within_10_percent=1.0, rmspe=0.01)
CALL_S, FLOP_S, BYTE_S = 2e-6, 1e-11, 1e-10


def learned(kind, *, law_s=(CALL_S, FLOP_S, 0.0, BYTE_S, 0.0), trees=(), smallest=1, largest=4096) -> Learned:
    count = len(KINDS[kind].sizes)
    return Learned(
        source=Source(title="bench", date=date(2026, 5, 4)),
        threads=2,
        rows=80,
        held_out=GOOD,
        repeats=GOOD,
        smallest=(smallest,) * count,
        largest=(largest,) * count,
        regressor=Regressor(features=KINDS[kind].regressor_features, law_s=law_s, offset=0.0, trees=trees),
        spread=ErrorBand(low=(0.8,), high=(1.25,)),
    )


def machine(**kinds: Learned) -> Device:
    """A CPU of which nothing but this is known."""
    bare = replace(load_device("cpu"), vector_peak_flops_per_s={})
    return replace(bare, learned={name: {"f32": found} for name, found in kinds.items()})


def products(*rows: tuple[int, int, int]) -> KernelBatch:
    m, n, k = (np.array(column) for column in zip(*rows, strict=True))
    return KernelBatch("gemm", "f32", {"b": np.ones_like(m), "m": m, "n": n, "k": k})


def convolutions(*channels: tuple[int, int, int]) -> KernelBatch:
    c, o, groups = (np.array(column) for column in zip(*channels, strict=True))
    fixed = {"n": 1, "h": 8, "w": 8, "r": 3, "s": 3, "stride": 1, "pad": 1}
    dims = {name: np.full(len(c), size) for name, size in fixed.items()}
    dims |= {"c": c, "o": o, "groups": groups, "direction": np.full(len(c), "fwd")}
    return KernelBatch("conv2d", "f32", dims)


def test_without_trees_it_is_the_law() -> None:
    found = learned_prices(machine(gemm=learned("gemm")), EAGER, products((8, 32, 16)))
    assert found is not None
    rows, prices = found
    read_bytes = 4 * (8 * 16 + 16 * 32)
    by_hand_s = CALL_S + 2 * 8 * 32 * 16 * FLOP_S + read_bytes * BYTE_S
    assert rows.tolist() == [True]
    assert prices.value_s[0] == pytest.approx(by_hand_s)
    assert prices.low_s[0] == pytest.approx(0.8 * by_hand_s)
    assert prices.high_s[0] == pytest.approx(1.25 * by_hand_s)
    assert prices.source[0] == "fitted"
    assert prices.limiter[0] == "launch"


def test_a_tree_corrects_the_law() -> None:
    octaves_of_n = 1  # the features of a product are its rows, n, k, then its work
    tree = (octaves_of_n, 4.5, -1, 0.5, -1, -0.25)
    plain, corrected = (
        learned_prices(machine(gemm=each), EAGER, products((8, 16, 16), (8, 32, 16)))
        for each in (learned("gemm"), learned("gemm", trees=(tree,)))
    )
    assert plain is not None
    assert corrected is not None
    ratio = corrected[1].value_s / plain[1].value_s
    assert ratio.tolist() == pytest.approx([exp(0.5), exp(-0.25)])


def test_the_work_is_counted_whole_and_padded_to_vectors() -> None:
    query = products((17, 32, 16))
    amounts = dict(zip(LAW, law_amounts("gemm", "f32", query.dims)[0], strict=True))
    assert amounts["calls"] == 1
    assert amounts["flops"] == 2 * 17 * 32 * 16
    assert amounts["padded flops"] == pytest.approx(2 * 32 * 32 * 16)
    assert amounts["bytes read"] == 4 * (17 * 16 + 16 * 32)
    assert amounts["bytes written"] == 4 * 17 * 32
    named = dict(
        zip(KINDS["gemm"].regressor_features, learned_features("gemm", "f32", query.dims)[0], strict=True)
    )
    assert named["n"] == 5
    assert named["flops"] == pytest.approx(log2(2 * 17 * 32 * 16))
    assert named["m padded / m"] == pytest.approx(log2(32 / 17))
    assert named["n padded / n"] == 0


def test_convolutions_and_depthwise_ones_have_their_own_and_others_none() -> None:
    slow = learned("conv2d", law_s=(1.0, 0, 0, 0, 0))
    device = machine(conv2d=learned("conv2d"), depthwise_conv2d=slow)
    query = convolutions((16, 32, 1), (16, 16, 16), (16, 32, 4), (16, 16, 1))
    found = learned_prices(device, EAGER, query)
    assert found is not None
    rows, prices = found
    assert rows.tolist() == [True, True, False, True]
    assert (prices.value_s == 1.0).tolist() == [False, True, False]


def test_the_ladder_prices_the_others_below_and_keeps_the_order() -> None:
    device = replace(load_device("cpu"), learned={"conv2d": {"f32": learned("conv2d")}})
    query = convolutions((16, 32, 4), (16, 32, 1))
    together = Ladder(device, EAGER, measured=False).price(query)
    alone = Ladder(load_device("cpu"), EAGER, measured=False).price(query)
    assert together.source.tolist()[1] == "fitted"
    assert together.source.tolist()[0] == alone.source.tolist()[0] != "fitted"
    assert together.value_s[0] == alone.value_s[0]


@pytest.mark.parametrize(
    ("query", "context"),
    [
        (products((8, 16, 16)), ExecutionContext(threads=1)),
        (products((8, 16, 16)), ExecutionContext(mode="compiled")),
        (replace(products((8, 16, 16)), dtype="bf16"), EAGER),
        (products((3, 16, 16)), EAGER),
        (products((8, 8193, 16)), EAGER),
        (convolutions((16, 32, 1)), EAGER),
    ],
    ids=["threads", "context", "type", "too small", "too large", "kind"],
)
def test_it_knows_only_what_is_like_what_was_measured(query: KernelBatch, context: ExecutionContext) -> None:
    assert learned_prices(machine(gemm=learned("gemm", smallest=8)), context, query) is None


def test_nothing_is_faster_than_the_peak() -> None:
    device = replace(
        load_device("cpu"), learned={"gemm": {"f32": learned("gemm", law_s=(1e-12, 0, 0, 0, 0))}}
    )
    found = learned_prices(device, EAGER, products((1024, 1024, 1024)))
    assert found is not None
    peak = device.vector_peak_flops_per_s["f32"].value
    assert found[1].value_s[0] == pytest.approx(2 * 1024**3 / peak)
