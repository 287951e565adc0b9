"""Collectives of a program, by hand: the ring formula over the bytes of the whole message."""

import pytest

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import IRError
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

RANKS, PART_BYTES = 4, 4 * 2**20
PART, WHOLE = "tensor<1048576xf32>", "tensor<4194304xf32>"
# gloo between processes of one machine: 160 us a step, 1 GB/s (hw/links/collective.py)
STEP_S, BYTES_PER_S = 160e-6, 1e9
GATHER_S = 3 * STEP_S + 3 / 4 * RANKS * PART_BYTES / BYTES_PER_S

GROUP = 'group_name = "0"'
CASES = {
    f"all_gather_into_tensor(%x, group_size = 4, {GROUP}) : {WHOLE}": (PART, GATHER_S),
    f'reduce_scatter_tensor(%x, reduce_op = "sum", group_size = 4, {GROUP}) : {PART}': (WHOLE, GATHER_S),
    f'all_reduce(%x, reduce_op = "sum", {GROUP}) : {WHOLE}': (WHOLE, 2 * GATHER_S),
}


def latency_us(call: str, argument: str, attributes: str = "attributes {shard.mesh = 4 : i64}") -> float:
    module = parse_program(f"""builtin.module {attributes} {{
        func.func @forward(%x: {argument} {{program.role = "input"}}) {{
          %y = _c10d_functional.{call}
          func.return }} }}""")
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device="cpu").apply(make_context(), module)
    (found,) = (op.attributes[LATENCY] for op in module.walk() if LATENCY in op.attributes)
    assert isinstance(found, LatencyAttr)
    return found.data.value_us


@pytest.mark.parametrize("call", CASES)
def test_a_collective_moves_the_gathered_the_scattered_or_the_reduced_tensor(call: str):
    argument, expected_s = CASES[call]
    assert latency_us(call, argument) == pytest.approx(expected_s * 1e6, rel=1e-5)


def test_ranks_that_the_program_does_not_say_are_an_error():
    call = next(iter(CASES))
    with pytest.raises(IRError, match="all_gather_into_tensor"):
        latency_us(call, PART, attributes="")
