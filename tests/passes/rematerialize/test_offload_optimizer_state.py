"""Optimizer state that lives on the host: the peak and the time by hand, and laws of the budget."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.dialects.cost import LATENCY
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.links.host_link import host_copy_s
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.rematerialize.offload import OffloadPass

WIDTH = 1024
BYTES = 4 * WIDTH * WIDTH
TENSOR = f"tensor<{WIDTH}x{WIDTH}xf32>"


def step(parameters: int) -> ModuleOp:
    """A step that only adds gradients and updates parameters by SGD with momentum."""
    arguments = [
        f'%{kind}{k} : {TENSOR} {{program.role = "{role}"}}'
        for kind, role in (("p", "parameter"), ("g", "input"), ("m", "optimizer_state"))
        for k in range(parameters)
    ]
    p, g, m = (", ".join(f"%{kind}{k}" for k in range(parameters)) for kind in "pgm")
    module = parse_program(f"""builtin.module {{ func.func @step({", ".join(arguments)}) -> {TENSOR} {{
        %y = aten.relu(%g0) {{phase = "forward"}} : {TENSOR}
        %z = aten.relu(%y) {{phase = "backward"}} : {TENSOR}
        program.drop %y {{phase = "backward"}} : {TENSOR}
        aten._fused_sgd_([{p}], [{g}], [{m}], weight_decay = 0.0, momentum = 0.9, lr = 0.1, dampening = 0.0,
            nesterov = false, maximize = false, is_first_step = false) {{phase = "optimizer"}}
        func.return %z : {TENSOR} }} }}""")
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device="h100-sxm", context="graph").apply(make_context(), module)
    return module


def offloaded(module: ModuleOp, budget_bytes: int) -> ModuleOp:
    made = module.clone()
    OffloadPass(budget_bytes=budget_bytes).apply(make_context(), made)
    made.verify()
    return made


def step_us(module: ModuleOp) -> float:
    latency: Any = read_totals(module)["latency"]
    return latency["value_us"]


def least_bytes(module: ModuleOp) -> int:
    with pytest.raises(UsageError) as raised:
        offloaded(module, 1)
    assert raised.value.fix
    return int(re.findall(r"\d+", raised.value.fix)[0])


def test_two_chunks_are_on_the_device_and_each_is_there_while_the_other_goes():
    module = step(4)
    made = offloaded(module, least_bytes(module))
    # Four parameters, four gradients; y and z while the second relu runs, beside two states on their way.
    assert liveness(made).peak_bytes == (4 + 4 + 2 + 2) * BYTES
    text = format_program(made)
    assert text.count("host.fetch") == text.count("host.store") == text.count("_fused_sgd_") == 4
    copy_us = host_copy_s(load_device("h100-sxm"), BYTES) * 1e6
    updates = [op for op in entry_function(made).body.block.ops if op.name == "aten._fused_sgd_"]
    update_us = [op.attributes[LATENCY].data.value_us for op in updates]  # pyright: ignore[reportAttributeAccessIssue]
    forward = next(op for op in entry_function(made).body.block.ops if op.name == "aten.relu")
    relu_us = forward.attributes[LATENCY].data.value_us  # pyright: ignore[reportAttributeAccessIssue]
    # The first comes in beside the second relu. While a chunk goes out the next but one comes in: the second
    # is there when the first is out, and a stored chunk is what the fetch of a later one waits for.
    now, back = relu_us, relu_us
    there: list[float] = []
    for _ in range(2):
        back += copy_us
        there.append(back)
    now += relu_us
    for number, took_us in enumerate(update_us):
        now = max(now, there[number]) + took_us + copy_us  # updated, then stored
        if number + 2 < 4:
            back = max(back, now) + copy_us
            there.append(back)
    assert step_us(made) == pytest.approx(now)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 20), st.floats(0, 1), st.floats(0, 1))
def test_more_memory_never_takes_more_time(parameters: int, one: float, other: float):
    module = step(parameters)
    least, most = least_bytes(module), liveness(module).peak_bytes
    budgets = [int(least + part * (most - least)) for part in sorted((one, other))]
    tight, loose = (offloaded(module, budget) for budget in budgets)
    assert liveness(tight).peak_bytes <= budgets[0]
    assert liveness(loose).peak_bytes <= budgets[1]
    assert step_us(tight) >= step_us(loose) >= step_us(module)


def test_state_that_something_else_reads_stays():
    text = format_program(step(4)).replace("%z = aten.relu(%y)", "%z = aten.relu(%m0)")
    made = offloaded(module := parse_program(text), least_bytes(module))
    assert "%m0: tensor" in format_program(made)
    assert "%m3: !host.copy" in format_program(made)


def test_the_advice_of_a_share_is_not_negative_and_holds():
    """With its state on the host a step peaks below one without activations: that is a share of 0."""
    module = step(20)
    with pytest.raises(UsageError) as raised:
        offloaded(module, 1)
    advice = re.fullmatch(r"give budget-bytes=(\d+) or budget=(\S+) at the least", raised.value.fix or "")
    assert advice
    least, share = advice.groups()
    assert float(share) == 0
    OffloadPass(budget=float(share)).apply(make_context(), module)
    assert int(least) <= liveness(module).peak_bytes
