"""Composition of works: maps compose, what is passed on stays on chip, and illegal fusions say why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.compiler.semantics.call import OpCall, Operand
from steelyard.compiler.semantics.compose import FusionError, compose
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork

SIZE = st.integers(2, 6)


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


def named(
    name: str,
    operands: dict[str, Operand],
    result: tuple[str, TensorType],
    values: dict[str, str],
    **properties: object,
) -> OpWork:
    """The work of a call whose tensors are called as in `values`, the result as in `result`."""
    work = work_of(OpCall(name, tuple(operands.items()), properties, (result[1],)))
    assert work is not None
    names = {**values, "result0": result[0]}
    spaces = (
        replace(
            space,
            reads=tuple(replace(each, value=names.get(each.value, each.value)) for each in space.reads),
            writes=tuple(replace(each, value=names[each.value]) for each in space.writes),
        )
        for space in work.spaces
    )
    return replace(work, spaces=tuple(spaces))


def exp(value: str, result: str, *shape: int) -> OpWork:
    return named("aten.exp", {"self": f32(*shape)}, (result, f32(*shape)), {"self": value})


def mul(one: str, other: str, result: str, *shapes: tuple[int, ...]) -> OpWork:
    operands = {"self": f32(*shapes[0]), "other": f32(*shapes[1])}
    return named("aten.mul.Tensor", operands, (result, f32(*shapes[2])), {"self": one, "other": other})


def matmul(one: str, other: str, result: str, m: int, k: int, n: int) -> OpWork:
    operands = {"self": f32(m, k), "mat2": f32(k, n)}
    return named("aten.mm", operands, (result, f32(m, n)), {"self": one, "mat2": other})


def softmax(value: str, result: str, m: int, n: int) -> OpWork:
    return named("aten._softmax", {"self": f32(m, n)}, (result, f32(m, n)), {"self": value}, dim=1)


def costs(work: OpWork) -> tuple[object, int, int]:
    return work.flops, work.bytes_unique, work.bytes_written


@given(m=SIZE, n=SIZE)
def test_pointwise_ops_add_their_operations_and_pass_nothing_through_memory(m: int, n: int) -> None:
    first, second = exp("a", "t", m, n), mul("t", "b", "r", (m, n), (n,), (m, n))
    fused = compose(first, second, "t")
    assert fused.flops == first.flops + second.flops
    assert fused.bytes_unique == 4 * (m * n + n + m * n)
    assert fused.bytes_written == 4 * m * n
    assert compose(first, second, "t", kept=True).bytes_written == 2 * 4 * m * n


@given(m=SIZE, n=SIZE)
def test_composition_is_associative(m: int, n: int) -> None:
    first, second, third = (
        exp("a", "s", m, n),
        exp("s", "t", m, n),
        mul("t", "t", "r", (m, n), (m, n), (m, n)),
    )
    left = compose(compose(first, second, "s"), third, "t")
    assert costs(left) == costs(compose(first, compose(second, third, "t"), "s"))


@given(m=SIZE, n=SIZE)
def test_a_smaller_producer_is_computed_again_at_each_point(m: int, n: int) -> None:
    small, large = exp("a", "t", n), mul("b", "t", "r", (m, n), (n,), (m, n))
    assert compose(small, large, "t").flops == small.flops * m + large.flops
    with pytest.raises(FusionError, match="smaller than the space"):
        compose(small, large, "t", kept=True)


@given(m=SIZE, k=SIZE, n=SIZE)
def test_a_product_takes_pointwise_ops_that_read_it(m: int, k: int, n: int) -> None:
    product, activation = matmul("a", "b", "t", m, k, n), exp("t", "r", m, n)
    fused = compose(product, activation, "t")
    assert (fused.kind, fused.flops) == ("contraction", product.flops + activation.flops)
    assert fused.bytes_unique == 4 * (m * k + k * n + m * n)


def test_a_view_composes_into_the_maps_of_its_reader() -> None:
    source, turned = f32(4, 6), f32(6, 4)
    transposed = named("aten.t", {"self": source}, ("t", turned), {"self": "a"})
    fused = compose(transposed, exp("t", "r", 6, 4), "t")
    (read,) = [access for space in fused.spaces for access in space.reads]
    written = fused.spaces[-1].writes[0]
    assert read.value == "a"
    assert [index.dims for index in read.indices] == [index.dims for index in written.indices][::-1]
    assert fused.bytes_unique == 2 * source.bytes


def test_a_slice_composes_with_its_stride_and_offset() -> None:
    part = named(
        "aten.slice.Tensor", {"self": f32(12)}, ("t", f32(4)), {"self": "a"}, dim=0, start=1, end=12, step=3
    )
    fused = compose(part, exp("t", "r", 4), "t")
    (index,) = next(access for space in fused.spaces for access in space.reads).indices
    assert (index.terms[0][1], index.offset) == (3, 1)
    assert fused.bytes_unique == 2 * 4 * 4


def test_a_softmax_is_complete_only_after_its_row() -> None:
    with pytest.raises(FusionError, match="complete only after all points"):
        compose(softmax("a", "t", 4, 8), exp("t", "r", 4, 8), "t")


def test_a_sum_along_the_same_dim_rescales_what_an_online_softmax_has() -> None:
    probabilities, mixed = softmax("a", "t", 4, 8), matmul("t", "v", "r", 4, 8, 16)
    fused = compose(probabilities, mixed, "t")
    assert {access.value for space in fused.spaces for access in space.reads} == {"a", "v"}


def test_a_sum_is_not_formed_again_for_each_of_its_readers_points() -> None:
    with pytest.raises(FusionError, match="done again along"):
        compose(matmul("a", "b", "t", 4, 8, 16), matmul("t", "c", "r", 4, 16, 5), "t")


def test_what_data_place_does_not_compose() -> None:
    rows = {"weight": f32(4, 8), "indices": TensorType((3,), "i64")}
    picked = named("aten.embedding", rows, ("r", f32(3, 8)), {"weight": "t"})
    with pytest.raises(FusionError, match="the data decide"):
        compose(exp("a", "t", 4, 8), picked, "t")
