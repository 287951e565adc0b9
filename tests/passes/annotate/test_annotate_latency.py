"""What a program finds in the caches, by its peak memory and the size of the last cache; and page faults."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr, LatencyEstimate
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.write import write_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass

SOURCE = Source(title="a test", date=date(2026, 1, 1))
PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<1024xf32> {program.role = "input", program.path = "x"}) -> tensor<1024xf32> {
    %y = aten.tanh(%x) {phase = "forward", path = "act", source = "net.py:7"} : tensor<1024xf32>
    func.return %y : tensor<1024xf32>
  }
}
"""
PEAK_BYTES = 2 * 4096


def measured(value: float) -> Quantity:
    return Quantity(value=value, kind="measured", source=SOURCE)


def rate(value: float) -> Rate:
    return Rate(value=value, kind="measured", source=SOURCE)


CPU = Device(
    name="toy-cpu",
    title="A toy",
    vendor="generic",
    kind="cpu",
    architecture="one",
    memory_kind="ddr",
    compute_units=measured(2),
    memory_capacity_bytes=measured(2**30),
    sustained=(
        MeasuredRates(
            threads=2,
            memory_bandwidth_bytes_per_s=rate(8e9),
            flops_per_s={"transcendental": {"f32": rate(1e12)}},
            memory_efficiency={"pointwise": rate(8.192e6 / 8e9)},
            resident_speedup={"pointwise": rate(4.0)},
        ),
    ),
)


@pytest.mark.parametrize(("cache_bytes", "expected_us"), [(PEAK_BYTES, 250.0), (PEAK_BYTES - 1, 1000.0)])
@pytest.mark.parametrize("memory_first", [True, False])
def test_a_program_that_the_last_cache_holds_is_faster_in_whatever_order_passes_run(
    cache_bytes: float, memory_first: bool, expected_us: float, tmp_path: Path
):
    file = tmp_path / "toy-cpu.toml"
    write_device(file, replace(CPU, l2_bytes=measured(cache_bytes)))
    context, module = make_context(), parse_program(PROGRAM)
    AnnotateCostPass().apply(context, module)
    if memory_first:
        AnnotateMemoryPass(device=str(file)).apply(context, module)
    AnnotateLatencyPass(device=str(file), context="graph").apply(context, module)
    if not memory_first:
        AnnotateMemoryPass().apply(context, module)
    assert read_totals(module)["latency"]["value_us"] == pytest.approx(expected_us)  # pyright: ignore


def test_an_op_with_a_result_that_is_mapped_anew_takes_its_page_faults_in_addition(tmp_path: Path):
    program = PROGRAM.replace("1024xf32", f"{33 * 2**18}xf32")
    fresh_bytes = 33 * 2**20
    times: list[LatencyEstimate] = []
    for fresh_rate, keep_memory in ((None, False), (rate(1e9), False), (rate(1e9), True)):
        file = tmp_path / "toy-cpu.toml"
        sustained = replace(CPU.sustained[0], fresh_page_bytes_per_s=fresh_rate)
        write_device(file, replace(CPU, sustained=(sustained,)))
        context, module = make_context(), parse_program(program)
        AnnotateCostPass().apply(context, module)
        AnnotateLatencyPass(str(file), context="graph", keep_memory=keep_memory).apply(context, module)
        (latency,) = (op.attributes[LATENCY] for op in module.walk() if LATENCY in op.attributes)
        assert isinstance(latency, LatencyAttr)
        times.append(latency.data)
    without, fresh, kept = times
    assert kept == without
    faults_us = 1e6 * (fresh_bytes / 1e9 - fresh_bytes / 8e9)
    assert fresh.value_us - without.value_us == pytest.approx(faults_us, rel=1e-3)
    assert fresh.low_us - without.low_us < faults_us < fresh.high_us - without.high_us
