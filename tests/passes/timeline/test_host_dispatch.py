from typing import Any

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.timeline.dispatch_cost import dispatch_cost
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.structure.inline import InlinePass

DEVICE = "a100-80gb-sxm"


def relu(name: str, of: str, rows: int) -> str:
    return f"%{name} = aten.relu(%{of}) : tensor<{rows}x1024xf32>"


def program(rows: int) -> str:
    tensor = f"tensor<{rows}x1024xf32>"
    return f"""builtin.module {{
    func.func private @twice(%x : {tensor}) -> {tensor} {{
        {relu("a", "x", rows)}
        {relu("b", "a", rows)}
        func.return %b : {tensor} }}
    func.func @forward(%x : {tensor}) -> {tensor} {{
        %c = func.call @twice(%x) : ({tensor}) -> {tensor}
        %d = func.call @twice(%c) : ({tensor}) -> {tensor}
        func.return %d : {tensor} }} }}"""


def latency(text: str, *, flat: bool = False, **target: Any) -> Any:
    module = parse_program(text)
    if flat:
        InlinePass().apply(make_context(), module)
    annotate(module, Target(**{"device": DEVICE, **target}))
    return read_totals(module)["latency"]


def test_small_kernels_take_the_time_of_their_host_and_large_ones_their_own() -> None:
    call_us = dispatch_cost(load_device(DEVICE)).inference_us
    kernels_us = latency(program(1), context="graph")["value_us"]
    small = latency(program(1))
    assert small["value_us"] == pytest.approx(4 * call_us + kernels_us / 4)  # the last after its dispatch
    assert small["us_by_limiter"]["host dispatch"] == pytest.approx(small["value_us"] - kernels_us)
    assert small["low_us"] < small["value_us"] < small["high_us"]
    large = latency(program(2**20))
    assert large["value_us"] == pytest.approx(call_us + latency(program(2**20), context="graph")["value_us"])


def test_the_flat_program_waits_alike() -> None:
    for rows in (1, 4096, 2**16):
        assert latency(program(rows)) == latency(program(rows), flat=True)


def test_a_name_that_is_no_release_is_found_before_anything_is_captured() -> None:
    with pytest.raises(UsageError, match="unknown software 'pytorch2'"):
        Target(device=DEVICE, software="pytorch2")


def test_an_older_release_waits_longer_and_a_cpu_not_at_all() -> None:
    assert latency(program(1), software="torch-1.9")["value_us"] > 2 * latency(program(1))["value_us"]
    assert "host dispatch" not in latency(program(1), device="cpu")["us_by_limiter"]
