from typing import Any

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.host_link import host_copy_s
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

TENSOR = "tensor<1024x1024xf32>"
COPY = f"!host.copy<{TENSOR}>"
AT_ONCE = f"""builtin.module {{ func.func @forward(%x : {TENSOR}) -> {TENSOR} {{
    %1 = aten.relu(%x) : {TENSOR}
    %h = host.offload %1 : {TENSOR} -> {COPY}
    program.drop %1 : {TENSOR}
    %2 = host.fetch %h : {COPY} -> {TENSOR}
    %3 = aten.relu(%2) : {TENSOR}
    func.return %3 : {TENSOR} }} }}"""
IN_FUNCTIONS = f"""builtin.module {{
    func.func private @leave(%x : {TENSOR}) -> {COPY} {{
        %1 = aten.relu(%x) : {TENSOR}
        %h = host.offload %1 : {TENSOR} -> {COPY}
        program.drop %1 : {TENSOR}
        func.return %h : {COPY} }}
    func.func private @back(%h : {COPY}) -> {TENSOR} {{
        %2 = host.fetch %h : {COPY} -> {TENSOR}
        %3 = aten.relu(%2) : {TENSOR}
        func.return %3 : {TENSOR} }}
    func.func @forward(%x : {TENSOR}) -> {TENSOR} {{
        %h = func.call @leave(%x) : ({TENSOR}) -> {COPY}
        %1 = func.call @back(%h) : ({COPY}) -> {TENSOR}
        func.return %1 : {TENSOR} }} }}"""


def latency(text: str, device: str = "t4") -> Any:
    module = parse_program(text)
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device=device).apply(make_context(), module)
    return read_totals(module)["latency"]


@pytest.mark.parametrize("text", [AT_ONCE, IN_FUNCTIONS])
def test_kernels_wait_for_copies_both_ways_if_nothing_lies_between(text: str):
    stall_us = 2e6 * host_copy_s(load_device("t4"), 4 * 2**20)
    totals = latency(text)
    assert totals["us_by_limiter"]["host link"] == pytest.approx(stall_us)
    assert totals["value_us"] == pytest.approx(sum(totals["us_by_limiter"].values()))


def test_a_kernel_between_hides_what_it_takes():
    long = f"%4 = aten.mm(%x, %x) : {TENSOR}"
    hidden = AT_ONCE.replace("%3 = aten.relu(%2)", f"{long}\n%3 = aten.relu(%2)")
    mm_us = latency(f"builtin.module {{ func.func @forward(%x : {TENSOR}) {{ {long}\n func.return }} }}")[
        "value_us"
    ]
    before, after = (latency(text)["us_by_limiter"]["host link"] for text in (AT_ONCE, hidden))
    assert after == pytest.approx(before - min(mm_us, before / 2))
    assert mm_us > 0


def test_a_program_without_copies_has_no_such_limiter_and_a_cpu_cannot_copy():
    assert (
        "host link"
        not in latency(f"""builtin.module {{ func.func @forward(%x : {TENSOR}) -> {TENSOR} {{
        %1 = aten.relu(%x) : {TENSOR}
        func.return %1 : {TENSOR} }} }}""")["us_by_limiter"]
    )
    with pytest.raises(DeviceError, match="no link to a host"):
        latency(AT_ONCE, "cpu")
