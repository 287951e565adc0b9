import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.parser import Parser

from steelyard.compiler.dialects.cost import (
    LatencyAttr,
    LatencyEstimate,
    LiveBytes,
    MemoryAttr,
    WorkAttr,
    WorkCounts,
)
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import IRError

counts = st.integers(0, 2**63)
times = st.floats(0, 1e12)


def again(attribute: object) -> object:
    return Parser(make_context(), str(attribute)).parse_attribute()


@given(counts, counts, counts)
def test_work_prints_exactly(flops: int, read: int, written: int):
    work = WorkAttr(
        WorkCounts(
            kind="contraction", dtype="bf16", contraction_flops=flops, pointwise_flops=1,
            transcendental_flops=2, bytes_read=read, bytes_written=written, bytes_unique=read + written,
        )
    )  # fmt: skip
    assert again(work) == work


@given(times, times, times)
def test_latency_prints_exactly(value: float, low: float, high: float):
    latency = LatencyAttr(
        LatencyEstimate(value_us=value, low_us=low, high_us=high, limiter="memory", source="analytic")
    )
    assert again(latency) == latency


@given(counts, counts)
def test_memory_prints_exactly(live: int, allocates: int):
    memory = MemoryAttr(LiveBytes(before=live, at=live + allocates, after=live, allocates=allocates, frees=0))
    assert again(memory) == memory


@pytest.mark.parametrize(
    "text",
    ["#cost.work<copy f32, flops = [1], bytes = [1, 2, 3]>", "#cost.latency<us = [1.0], memory, spec>"],
)
def test_too_few_numbers_are_refused(text: str):
    with pytest.raises(IRError, match="expected"):
        parse_program(f"builtin.module attributes {{x = {text}}} {{}}")
