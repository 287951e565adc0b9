"""Laws that the work of any op obeys."""

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork

SIZE = st.integers(1, 12)


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


def known(call: OpCall) -> OpWork:
    work = work_of(call)
    assert work is not None
    return work


def mm(b: int, m: int, k: int, n: int) -> OpCall:
    return OpCall("aten.bmm", (("self", f32(b, m, k)), ("mat2", f32(b, k, n))), {}, (f32(b, m, n),))


def linear(b: int, m: int, k: int, n: int) -> OpCall:
    operands = (("input", f32(b, m, k)), ("weight", f32(n, k)), ("bias", f32(n)))
    return OpCall("aten.linear", operands, {}, (f32(b, m, n),))


def add(b: int, m: int, k: int, n: int) -> OpCall:
    return OpCall("aten.add.Tensor", (("self", f32(b, m, k)), ("other", f32(m, k))), {}, (f32(b, m, k),))


def softmax(b: int, m: int, k: int, n: int) -> OpCall:
    return OpCall("aten._softmax", (("self", f32(b, m, k)),), {"dim": -1}, (f32(b, m, k),))


def layer_norm(b: int, m: int, k: int, n: int) -> OpCall:
    operands = (("input", f32(b, m, k)), ("weight", f32(k)), ("bias", f32(k)))
    statistics = f32(b, m, 1)
    shape = {"normalized_shape": [k]}
    return OpCall("aten.native_layer_norm", operands, shape, (f32(b, m, k), statistics, statistics))


def convolution(b: int, m: int, k: int, n: int) -> OpCall:
    operands = (("input", f32(b, 2 * k, m + 2)), ("weight", f32(2 * n, k, 3)), ("bias", f32(2 * n)))
    return OpCall("aten.convolution", operands, {"groups": 2, "transposed": False}, (f32(b, 2 * n, m),))


def attention(b: int, m: int, k: int, n: int) -> OpCall:
    operands = (("query", f32(b, 4, m, k)), ("key", f32(b, 2, n, k)), ("value", f32(b, 2, n, k)))
    results = (f32(b, 4, m, k), f32(b, 4, m))
    return OpCall("aten._scaled_dot_product_flash_attention", operands, {}, results)


def total(b: int, m: int, k: int, n: int) -> OpCall:
    return OpCall("aten.sum.dim_IntList", (("self", f32(b, m, k)),), {"dim": [1]}, (f32(b, k),))


def cat(b: int, m: int, k: int, n: int) -> OpCall:
    return OpCall("aten.cat", (("tensors", (f32(b, m), f32(b, k))),), {"dim": 1}, (f32(b, m + k),))


OPS = [mm, linear, add, softmax, layer_norm, convolution, attention, total, cat]


@pytest.mark.parametrize("op", OPS)
@given(b=SIZE, m=SIZE, k=SIZE, n=SIZE, times=st.integers(2, 5))
def test_flops_scale_with_the_batch(op, b: int, m: int, k: int, n: int, times: int):
    assert known(op(b * times, m, k, n)).flops == known(op(b, m, k, n)).flops * times


@pytest.mark.parametrize("op", OPS)
@given(b=SIZE, m=SIZE, k=SIZE, n=SIZE)
def test_bytes_cover_every_input_and_output_once(op, b: int, m: int, k: int, n: int):
    call = op(b, m, k, n)
    work = known(call)
    dense = sum(value.type.bytes for value in (*call.tensors, *call.outputs))
    assert work.bytes_read + work.bytes_written >= work.bytes_unique >= dense


@given(m=SIZE, k=SIZE, n=SIZE)
def test_the_cost_of_spaces_adds_up(m: int, k: int, n: int):
    work = known(linear(2, m, k, n))
    parts = [replace(work, spaces=(space,)) for space in work.spaces]
    assert sum((part.flops for part in parts), type(work.flops)()) == work.flops
    assert sum(part.bytes_read for part in parts) == work.bytes_read


@given(rows=st.integers(1, 1000), asked=st.integers(1, 1000))
def test_a_gather_touches_no_more_than_it_asks_for(rows: int, asked: int):
    operands = (("weight", f32(rows, 8)), ("indices", TensorType((asked,), "i64")))
    work = known(OpCall("aten.embedding", operands, {}, (f32(asked, 8),)))
    assert work.bytes_read == min(rows, asked) * 8 * 4 + asked * 8


def test_an_unknown_op_is_unknown_and_not_free():
    assert work_of(OpCall("mylib.mystery", (("x", f32(2)),), {}, (f32(2),))) is None


def test_a_fused_optimizer_passes_once_over_its_state():
    shapes = [(4, 8), (16,)]
    lists = {
        name: tuple(f32(*each) for each in shapes) for name in ("self", "grads", "exp_avgs", "exp_avg_sqs")
    }
    work = known(OpCall("aten._fused_adamw_", tuple(lists.items()), {"weight_decay": 0.01}))
    elements = sum(map(prod, shapes))
    assert (work.bytes_read, work.bytes_written) == (4 * 4 * elements, 3 * 4 * elements)
    assert work.mutates == ("self", "exp_avgs", "exp_avg_sqs")
