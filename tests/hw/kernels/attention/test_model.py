"""Fused attention: counts and tasks by hand, laws of the estimate, and the measured rows."""

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.attention.schedule import Schedule, schedule
from steelyard.hw.kernels.attention.shape import Attentions, attentions
from steelyard.hw.kernels.attention.tiles import tile_menu
from steelyard.hw.kernels.common.kernel_model import Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import Column

PREFILL, DECODE = FusedAttention("attention_prefill"), FusedAttention("attention_decode")
GRAPH, EAGER = ExecutionContext(mode="graph"), ExecutionContext()
NAMES = ("a100-80gb-sxm", "h100-sxm", "l40s", "b200-sxm", "v100-sxm2-16gb", "mi300x", "cpu")
DEVICES = {name: load_device(name) for name in NAMES}
DIMS = ("b", "hq", "hkv", "sq", "skv", "d", "causal")
MEASURED = Path(os.environ["STEELYARD_MEASURED"])

Shape = tuple[int, int, int, int, int, int, int]

devices = st.sampled_from(sorted(DEVICES)).map(DEVICES.__getitem__)
heads = st.sampled_from(((1, 1), (8, 1), (8, 8), (32, 8), (12, 4), (96, 96)))
factors = st.floats(1, 4)


@st.composite
def shapes(draw: st.DrawFn, decode: bool | None = None) -> Shape:
    hq, hkv = draw(heads)
    decode = draw(st.booleans()) if decode is None else decode
    sq = 1 if decode else draw(st.integers(1, 20_000))
    skv = sq + draw(st.integers(0, 100_000))
    d = draw(st.sampled_from((64, 80, 128, 192, 256, 512)))
    return draw(st.integers(1, 2000)), hq, hkv, sq, skv, d, draw(st.integers(0, 1))


def columns(*rows: Shape) -> Mapping[str, Column]:
    """Return rows of b, hq, hkv, sq, skv, d, causal as columns."""
    return dict(zip(DIMS, np.array(rows, dtype=np.int64).T, strict=True))


def model_of(shape: Shape) -> FusedAttention:
    return DECODE if shape[3] == 1 else PREFILL


def estimate(
    device: Device, *rows: Shape, dtype: DType = "bf16", context: ExecutionContext = GRAPH
) -> Estimate:
    """Price rows of one kind with the constants of the device's family."""
    model = model_of(rows[0])
    return model.estimate(Launches(device, dtype, context, columns(*rows), model.coefficients(device, dtype)))


def planned(device: Device, *rows: Shape) -> Schedule:
    return schedule(attentions("bf16", columns(*rows)), tile_menu(device), device.compute_units.value)


def spec(value: float) -> Quantity:
    return Quantity(value=value, kind="spec", source=Source(title="a test", date=date(2026, 1, 1)))


def test_a_causal_mask_leaves_the_pairs_that_are_seen() -> None:
    shape: Attentions = attentions(
        "bf16", columns((2, 4, 2, 3, 5, 8, 1), (2, 4, 2, 3, 5, 8, 0), (2, 4, 2, 5, 3, 8, 1))
    )
    # After 2 keys, three queries see 3, 4 and 5; with more queries than keys, 1, 2, 3, 3 and 3.
    assert shape.scores.tolist() == [2 * 4 * 12, 2 * 4 * 15, 2 * 4 * 12]
    assert shape.contraction_flops.tolist() == [4 * 8 * pairs for pairs in shape.scores]


def test_heads_that_share_keys_read_them_once() -> None:
    counts = PREFILL.counts("f16", columns((2, 4, 2, 3, 5, 8, 0)))
    assert counts.bytes_read.tolist() == [2 * (2 * 4 * 3 * 8 + 2 * 2 * 2 * 5 * 8)]
    assert counts.bytes_written.tolist() == [2 * 2 * 4 * 3 * 8]
    assert counts.transcendental_flops.tolist() == [2 * 2 * 4 * 15]


def test_a_long_causal_prompt_is_a_staircase_of_tasks() -> None:
    # 1024 queries are 8 tiles a head, which see 2, 4, ... 16 key tiles of 64.
    tasks = planned(DEVICES["a100-80gb-sxm"], (4, 32, 32, 1024, 1024, 128, 1))
    assert tasks.query_tiles.tolist() == [4 * 32 * 8]
    assert (tasks.least.tolist(), tasks.mean.tolist(), tasks.most.tolist()) == ([2], [9], [16])
    assert not tasks.splittable[0]


def test_few_heads_split_their_keys() -> None:
    # FlashAttention-3: 64 tiles x 74 key tiles x 1.1 / 108 SMs are 49 a task, so that each has two.
    tasks = planned(DEVICES["a100-80gb-sxm"], (8, 32, 8, 1, 8192, 128, 1))
    assert tasks.tile_keys.tolist() == [112]
    assert tasks.splits.tolist() == [2]
    assert tasks.tasks.tolist() == [128]
    assert tasks.most.tolist() == [37]


def test_keys_of_a_type_wider_than_16_bits_are_not_split() -> None:
    device, dims = DEVICES["h100-sxm"], columns((1, 32, 1, 1, 1024, 128, 1))
    splits = {
        dtype: schedule(
            attentions(dtype, dims), tile_menu(device), device.compute_units.value
        ).splits.tolist()
        for dtype in ("bf16", "f32")
    }
    assert splits == {"bf16": [8], "f32": [1]}


def test_devices_without_flash_attention_do_not_split_keys() -> None:
    # One tile of queries, 8 of 128 keys: an even share of 58 SMs is less than a key tile, so there are 8.
    dims = (1, 8, 1, 1, 1024, 128, 1)
    assert planned(load_device("l4"), dims).splits.tolist() == [8]
    assert planned(load_device("t4"), dims).splits.tolist() == [1]


@pytest.mark.parametrize("name", ["a100-80gb-sxm", "h100-sxm", "b200-sxm", "l4", "t4", "p100-pcie"])
@pytest.mark.parametrize("hkv", [1, 8])
def test_more_keys_or_sequences_never_take_less_time(name: str, hkv: int) -> None:
    sequences, blocks = 12, 24
    rows = [
        (b, 32, hkv, 1, 256 * block, 128, 1)
        for b in range(1, sequences + 1)
        for block in range(1, blocks + 1)
    ]
    device = load_device(name)
    seconds = estimate(device, *rows, dtype="f16").seconds.reshape(sequences, blocks)
    for times in (2, 3, 4):
        less = np.arange(1, blocks // times + 1)
        assert np.max(seconds[:, less - 1] / seconds[:, less * times - 1]) <= 1 + 1e-9
        fewer = np.arange(1, sequences // times + 1)
        assert np.max(seconds[fewer - 1] / seconds[fewer * times - 1]) <= 1 + 1e-9


def test_equal_tasks_make_whole_waves_and_unequal_ones_end_together() -> None:
    tasks = planned(DEVICES["a100-80gb-sxm"], (1, 128, 128, 64, 64, 128, 0))
    # 128 tasks of one key tile on 100 SMs are two waves.
    assert tasks.makespan_s(100, np.array([3.0]), np.array([1.0])).tolist() == [8.0]
    steps = planned(DEVICES["a100-80gb-sxm"], (1, 25, 25, 512, 512, 128, 1))
    # 100 tasks of 2, 4, 6 and 8 key tiles on 10 SMs: 50 each, and no SM waits.
    assert steps.makespan_s(10, np.array([1.0]), np.array([0.0])).tolist() == [50.0]


@given(devices, shapes())
def test_nothing_undercuts_the_floor(device: Device, shape: Shape) -> None:
    found = estimate(device, shape)
    assert np.isfinite(found.seconds[0])
    assert found.seconds[0] >= found.floor_s[0] > 0 or shape[3] == 1
    model = model_of(shape)
    counts = model.counts("bf16", columns(shape))
    peak = device.matrix_peak_flops_per_s.get("bf16") or device.vector_peak_flops_per_s["f32"]
    assert device.l2_bytes
    assert device.memory_bandwidth_bytes_per_s
    seen = attentions("bf16", columns(shape)).contraction_flops[0]
    streamed_bytes = counts.bytes_read[0] + counts.bytes_written[0] - device.l2_bytes.value
    by_hand_s = max(seen / peak.value, streamed_bytes / device.memory_bandwidth_bytes_per_s.value)
    assert found.floor_s[0] == pytest.approx(by_hand_s)


@given(devices, shapes(), factors, factors, factors)
def test_a_device_with_higher_peaks_is_never_slower(
    device: Device, shape: Shape, matrix: float, vector: float, bandwidth: float
) -> None:
    assert device.memory_bandwidth_bytes_per_s
    peaks = {name: spec(matrix * peak.value) for name, peak in device.matrix_peak_flops_per_s.items()}
    lanes = {name: spec(vector * peak.value) for name, peak in device.vector_peak_flops_per_s.items()}
    better = replace(
        device,
        matrix_peak_flops_per_s=peaks,
        vector_peak_flops_per_s=lanes,
        memory_bandwidth_bytes_per_s=spec(bandwidth * device.memory_bandwidth_bytes_per_s.value),
    )
    assert estimate(better, shape).seconds[0] <= estimate(device, shape).seconds[0] * (1 + 1e-9)


@given(devices, shapes(), st.sampled_from(("b", "prompt", "skv")), st.integers(2, 6))
def test_several_times_the_work_is_never_faster(device: Device, shape: Shape, dim: str, times: int) -> None:
    b, hq, hkv, sq, skv, d, causal = shape
    prompt = times if dim == "prompt" and sq > 1 else 1
    keys = times if dim == "skv" else prompt
    larger = (b * times if dim == "b" else b, hq, hkv, sq * prompt, skv * keys, d, causal)
    # Libraries change kernels where they begin to split, which may be faster, and for very wide heads.
    assume(d <= 256 and not planned(device, shape, larger).splittable.any())
    before, after = estimate(device, shape, larger).seconds
    assert after >= before * (1 - 1e-9)


def test_the_cache_write_and_the_host_belong_to_their_contexts() -> None:
    device, shape = DEVICES["h100-sxm"], (1, 8, 8, 1, 64, 128, 1)
    graph, eager = estimate(device, shape), estimate(device, shape, context=EAGER)
    assert eager.limiter[0] == "host"
    alone = estimate(device, shape, context=ExecutionContext(host_overhead=False))
    assert alone.seconds[0] < graph.seconds[0]
    assert alone.seconds[0] < eager.seconds[0]


def test_a_backward_pass_takes_about_three_forward_ones() -> None:
    device, rows = DEVICES["a100-80gb-sxm"], columns((8, 16, 16, 4096, 4096, 128, 1))
    coefficients = PREFILL.coefficients(device, "bf16")
    forward = PREFILL.estimate(Launches(device, "bf16", EAGER, rows, coefficients))
    backward = PREFILL.backward(Launches(device, "bf16", EAGER, rows, coefficients))
    assert backward.seconds[0] / forward.seconds[0] == pytest.approx(2.5 * 73 / 63, rel=0.02)
    assert backward.floor_s[0] == pytest.approx(2.5 * forward.floor_s[0])


def test_a_type_without_attention_is_refused() -> None:
    with pytest.raises(DeviceError, match="no fused attention in i8"):
        PREFILL.counts("i8", columns((1, 1, 1, 1, 1, 64, 0)))


def test_a_device_without_a_clock_is_refused() -> None:
    device = replace(DEVICES["h100-sxm"], boost_clock_hz=None)
    with pytest.raises(DeviceError, match="attention on 'h100-sxm' cannot be priced"):
        PREFILL.coefficients(device, "bf16")


@pytest.mark.parametrize(
    ("model", "file", "name", "mape"),
    [
        (PREFILL, "context_bf16_a100_sxm", "a100-80gb-sxm", 0.08),
        (PREFILL, "context_bf16_h100_sxm", "h100-sxm", 0.09),
        (DECODE, "generation_bf16_a100_sxm", "a100-80gb-sxm", 0.06),
        (DECODE, "generation_bf16_h100_sxm", "h100-sxm", 0.08),
    ],
)
def test_measured_rows(model: FusedAttention, file: str, name: str, mape: float) -> None:
    path = MEASURED / f"aiconfigurator/attention_{file}.csv"
    if not path.exists():
        pytest.skip(f"the open measurements are not at {MEASURED}; set STEELYARD_MEASURED")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))

    def number(column: str) -> Column:
        return np.array([int(row[column]) for row in rows])

    dims = {"b": number("batch_size"), "hq": number("num_heads"), "hkv": number("kv_heads")}
    dims |= {"sq": number("isl"), "skv": number("isl") + number("step"), "d": number("head_dim")}
    dims["causal"] = np.ones(len(rows))
    device = DEVICES[name]
    found = model.estimate(Launches(device, "bf16", GRAPH, dims, model.coefficients(device, "bf16")))
    measured_s = np.array([float(row["latency_ms"]) for row in rows]) * 1e-3
    assert np.mean(abs(found.seconds / measured_s - 1)) < mape
