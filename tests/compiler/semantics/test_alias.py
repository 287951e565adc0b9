"""A second frontend's op is a second name for the same work."""

import pytest

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.placement import Partial, Shard
from steelyard.compiler.semantics.registry import alias, knows, work_of
from steelyard.compiler.semantics.sharding_rule import shard
from steelyard.compiler.semantics.tensor_type import TensorType


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


@pytest.fixture(autouse=True)
def _second_frontend() -> None:
    alias("front.MatMul", like="aten.matmul", arguments={"A": "self", "B": "other"})
    alias(
        "front.Gather",
        like="aten.index_select",
        arguments={"data": "self", "indices": "index", "axis": "dim"},
    )
    alias("front.Mystery", like="aten.no_such_op", arguments={})


def test_the_work_is_the_same_over_the_frontends_own_arguments() -> None:
    call = OpCall("front.MatMul", (("A", f32(4, 8)), ("B", f32(8, 16))), {}, (f32(4, 16),))
    work = work_of(call)
    twin = work_of(OpCall("aten.matmul", (("self", f32(4, 8)), ("other", f32(8, 16))), {}, (f32(4, 16),)))
    assert work is not None and twin is not None
    assert (work.kind, work.flops, work.bytes_unique) == (twin.kind, twin.flops, twin.bytes_unique)
    assert shard(work, "k").placements == {"A": Shard(1), "B": Shard(0), "result0": Partial("sum")}
    assert [each.factors for each in work.summands] == [("A", "B")]


def test_properties_and_index_operands_are_translated_too() -> None:
    operands = (("data", f32(10, 3)), ("indices", TensorType((5,), "i64")))
    work = work_of(OpCall("front.Gather", operands, {"axis": 0}, (f32(5, 3),)))
    assert work is not None
    source = work.spaces[0].reads[0]
    assert (source.value, source.indices[0].by) == ("data", "indices")


def test_an_alias_of_what_is_unknown_is_unknown() -> None:
    assert knows("front.Mystery")
    assert work_of(OpCall("front.Mystery", (("x", f32(2)),), {}, (f32(2),))) is None
