"""Sharding of single ops: placements by hand, and the law that the ranks together do the whole work."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.placement import Partial, Placement, Replicate, Shard, ShardingError
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.sharding_rule import Sharding, ShardingRule, shard
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork

SIZE = st.integers(1, 6)


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


def known(call: OpCall) -> OpWork:
    work = work_of(call)
    assert work is not None
    return work


def call(
    name: str, operands: dict[str, Any], *results: TensorType, properties: dict[str, Any] | None = None
) -> OpCall:
    return OpCall(name, tuple(operands.items()), properties or {}, results)


def bmm(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.bmm", {"self": f32(b, m, k), "mat2": f32(b, k, n)}, f32(b, m, n))


def linear(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.linear", {"input": f32(b, m, k), "weight": f32(n, k), "bias": f32(n)}, f32(b, m, n))


def add(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.add.Tensor", {"self": f32(b, m, k), "other": f32(m, k)}, f32(b, m, k))


def softmax(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten._softmax", {"self": f32(b, m, k)}, f32(b, m, k), properties={"dim": -1})


def layer_norm(b: int, m: int, k: int, n: int) -> OpCall:
    operands = {"input": f32(b, m, k), "weight": f32(k), "bias": f32(k)}
    results = (f32(b, m, k), f32(b, m, 1), f32(b, m, 1))
    return call("aten.native_layer_norm", operands, *results, properties={"normalized_shape": [k]})


def group_norm(b: int, m: int, k: int, n: int) -> OpCall:
    properties = {"N": b, "C": 2 * m * k, "HxW": n, "group": 2 * m}
    results = (f32(b, 2 * m * k, n), f32(b, 2 * m), f32(b, 2 * m))
    return call("aten.native_group_norm", {"input": f32(b, 2 * m * k, n)}, *results, properties=properties)


def convolution(b: int, m: int, k: int, n: int) -> OpCall:
    operands = {"input": f32(b, 2 * k, 2 * m + 1), "weight": f32(2 * n, k, 3), "bias": f32(2 * n)}
    properties = {"groups": 2, "transposed": False, "stride": [2]}
    return call("aten.convolution", operands, f32(b, 2 * n, m), properties=properties)


def attention(b: int, m: int, k: int, n: int) -> OpCall:
    operands = {"query": f32(b, 4, m, k), "key": f32(b, 2, n, k), "value": f32(b, 2, n, k)}
    return call("aten._scaled_dot_product_flash_attention", operands, f32(b, 4, m, k), f32(b, 4, m))


def total(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.sum.dim_IntList", {"self": f32(b, m, k)}, f32(b, k), properties={"dim": [1]})


def cat(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.cat", {"tensors": (f32(b, m), f32(b, m))}, f32(b, 2 * m), properties={"dim": 1})


def view(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.view", {"self": f32(b, m * k, n)}, f32(b * m, k, n), properties={"size": [b * m, k, n]})


def split(b: int, m: int, k: int, n: int) -> OpCall:
    return call(
        "aten.split.Tensor", {"self": f32(b, 3 * m)}, *[f32(b, m)] * 3, properties={"split_size": m, "dim": 1}
    )


def slices(b: int, m: int, k: int, n: int) -> OpCall:
    properties = {"dim": 1, "start": m, "end": 2 * m, "step": 1}
    return call("aten.slice.Tensor", {"self": f32(b, 3 * m)}, f32(b, m), properties=properties)


def embedding(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.embedding", {"weight": f32(k, n), "indices": TensorType((b, m), "i64")}, f32(b, m, n))


def scatter_add(b: int, m: int, k: int, n: int) -> OpCall:
    operands = {"self": f32(b, k), "index": TensorType((b, m), "i64"), "src": f32(b, m)}
    return call("aten.scatter_add", operands, f32(b, k), properties={"dim": 1})


def index(b: int, m: int, k: int, n: int) -> OpCall:
    operands = {"self": f32(k, n), "indices": (TensorType((b, m), "i64"),)}
    return call("aten.index.Tensor", operands, f32(b, m, n))


def topk(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.topk", {"self": f32(b, m + k)}, f32(b, k), TensorType((b, k), "i64"))


def mse_loss(b: int, m: int, k: int, n: int) -> OpCall:
    return call("aten.mse_loss", {"self": f32(b, m), "target": f32(b, m)}, f32(), properties={"reduction": 1})


OPS = [
    bmm, linear, add, softmax, layer_norm, group_norm, convolution, attention, total, cat, view, split,
    slices, embedding, scatter_add, index, topk, mse_loss,
]  # fmt: skip


def local_call(whole: OpCall, sharding: Sharding, ranks: int) -> OpCall:
    """The call of one rank."""

    def part(name: str, type_: TensorType) -> TensorType:
        placement = sharding.placement(name)
        if not isinstance(placement, Shard):
            return type_
        return replace(type_, shape=placement.block(type_.shape, ranks))

    operands = tuple(
        (name, tuple(part(f"{name}[{i}]", each) for i, each in enumerate(operand)))
        if isinstance(operand, tuple)
        else (name, part(name, operand))
        for name, operand in whole.operands
    )
    properties = {**whole.properties, **sharding.local_arguments(whole.properties, ranks)}
    results = tuple(part(f"result{i}", each) for i, each in enumerate(whole.results))
    return replace(whole, operands=operands, properties=properties, results=results)


def costs(work: OpWork) -> object:
    """The operations, bytes and tensors of a work; dims of a view are named by its shapes."""
    tensors = [(access.value, access.type) for space in work.spaces for access in space.maps]
    return work.flops, work.bytes_read, work.bytes_written, work.bytes_unique, work.compute_dtype, tensors


def shardings(work: OpWork, ranks: int) -> Iterator[tuple[Sharding, OpWork]]:
    """The shardings of a work that are possible, each with what one rank does."""
    for dim in work.dims:
        try:
            sharding = shard(work, dim)
            yield sharding, sharding.local_work(ranks)
        except ShardingError:
            continue


@pytest.mark.parametrize("op", OPS)
@given(b=SIZE, m=SIZE, k=SIZE, n=SIZE, ranks=st.integers(2, 3), data=st.data())
def test_sharded_work_of_all_ranks_is_the_whole_work(op, b: int, m: int, k: int, n: int, ranks: int, data):
    whole = op(b * ranks, m * ranks, k * ranks, n * ranks)
    work = known(whole)
    sharding, local = data.draw(st.sampled_from(list(shardings(work, ranks))))
    # One rank does what the op does on what it holds, ...
    assert costs(local) == costs(known(local_call(whole, sharding, ranks)))
    # ... and each point of what is sharded is done by one rank.
    for at in sharding.spaces:
        assert local.spaces[at].flops * ranks == work.spaces[at].flops


def placements(work: OpWork, dim: str) -> dict[str, Placement]:
    return dict(shard(work, dim).placements)


def test_a_product_has_three_parallel_factors_and_one_that_leaves_partial_sums() -> None:
    work = known(bmm(2, 4, 8, 16))
    assert placements(work, "b") == {"self": Shard(0), "mat2": Shard(0), "result0": Shard(0)}
    assert placements(work, "m") == {"self": Shard(1), "result0": Shard(1)}
    assert placements(work, "n") == {"mat2": Shard(2), "result0": Shard(2)}
    assert placements(work, "k") == {"self": Shard(2), "mat2": Shard(1), "result0": Partial("sum")}


def test_an_addend_is_repeated_where_ranks_have_partial_sums() -> None:
    assert [each.factors for each in shard(known(linear(2, 4, 8, 16)), "k").repeated_summands] == [("bias",)]
    assert shard(known(linear(2, 4, 8, 16)), "n").repeated_summands == ()


def test_a_maximum_leaves_partial_maxima() -> None:
    work = known(call("aten.amax", {"self": f32(4, 6)}, f32(6), properties={"dim": [0]}))
    assert placements(work, "d0") == {"self": Shard(0), "result0": Partial("max")}


def test_a_maximum_with_its_place_is_no_tensor_that_ranks_can_combine() -> None:
    operands, results = {"self": f32(4, 6)}, (f32(6), TensorType((6,), "i64"))
    work = known(call("aten.max.dim", operands, *results, properties={"dim": 0}))
    with pytest.raises(ShardingError, match="brings together"):
        shard(work, "d0")
    assert shard(work, "d1").placement("result1") == Shard(0)


def test_a_softmax_is_not_sharded_along_its_dim() -> None:
    work = known(softmax(2, 4, 8, 1))
    assert placements(work, "d1") == {"self": Shard(1), "result0": Shard(1)}
    with pytest.raises(ShardingError, match="brings together"):
        shard(work, "d2")


def test_heads_are_sharded_with_the_keys_that_they_share() -> None:
    work = known(attention(2, 4, 8, 16))
    sharded = {name: Shard(1) for name in ("query", "key", "value", "result0", "result1")}
    assert placements(work, "k") == sharded
    # Heads of one group lie apart: a rank has its block in the part of each head of the keys.
    assert placements(work, "g")["query"] == Shard(1, parts=2)
    assert shard(work, "g").placement("key") == Replicate()
    with pytest.raises(ShardingError, match="brings together"):
        shard(work, "s")


def test_windows_that_overlap_are_not_sharded_and_those_side_by_side_are() -> None:
    with pytest.raises(ShardingError, match="does not make a block"):
        shard(known(convolution(2, 4, 8, 3)), "o0")
    patches = call(
        "aten.convolution",
        {"input": f32(2, 3, 32, 32), "weight": f32(8, 3, 16, 16)},
        f32(2, 8, 2, 2),
        properties={"groups": 1, "transposed": False, "stride": [16, 16]},
    )
    assert placements(known(patches), "o0") == {"input": Shard(2), "result0": Shard(2)}


def test_a_causal_mask_needs_the_place_of_a_query() -> None:
    whole = replace(attention(2, 4, 8, 16), properties={"is_causal": True})
    with pytest.raises(ShardingError, match="where an element lies"):
        shard(known(whole), "q")
    assert shard(known(whole), "k").placement("query") == Shard(1)


def test_a_view_places_as_its_map_says() -> None:
    work = known(call("aten.view", {"self": f32(4, 24)}, f32(4, 3, 8), properties={"size": [4, 3, 8]}))
    rule = ShardingRule(work)
    for source, result in ((Shard(0), Shard(0)), (Shard(1), Shard(1)), (Shard(1, parts=3), Shard(2))):
        assert rule.shard(rule.factors("self", source)).placement("result0") == result
        assert rule.shard(rule.factors("result0", result)).placement("self") == source


def test_shapes_without_a_common_factor_have_no_common_blocks() -> None:
    work = known(call("aten.view", {"self": f32(4, 6)}, f32(3, 8), properties={"size": [3, 8]}))
    with pytest.raises(ShardingError):
        ShardingRule(work).shard(ShardingRule(work).factors("self", Shard(0)))
    longer = known(call("aten.view", {"self": f32(8, 6)}, f32(12, 4), properties={"size": [12, 4]}))
    rule = ShardingRule(longer)
    assert rule.shard(rule.factors("self", Shard(0))).placement("result0") == Shard(0)


def test_pieces_of_a_tensor_that_is_sharded_in_parts_are_sharded() -> None:
    pieces = [f32(2, 8), f32(2, 4), f32(2, 4)]
    properties = {"split_sizes": [8, 4, 4], "dim": 1}
    whole = call("aten.split_with_sizes", {"self": f32(2, 16)}, *pieces, properties=properties)
    rule = ShardingRule(known(whole))
    sharding = rule.shard(rule.factors("self", Shard(1, parts=4)))
    assert [sharding.placement(f"result{i}") for i in range(3)] == [Shard(1, parts=2), Shard(1), Shard(1)]
    assert sharding.local_arguments(properties, 2) == {"split_sizes": [4, 2, 2]}
    with pytest.raises(ShardingError, match="a part of dim 1"):
        rule.factors("self", Shard(1))


def test_what_data_place_is_not_known_to_be_in_blocks() -> None:
    table = ShardingRule(known(embedding(2, 4, 8, 16)))
    assert table.shard(table.factors("indices", Shard(0))).placement("result0") == Shard(0)
    with pytest.raises(ShardingError, match="the data decide"):
        table.factors("weight", Shard(0))
    indices = (TensorType((4,), "i64"),)
    put = {"self": f32(8, 16), "indices": indices, "values": f32(4, 16)}
    rule = ShardingRule(known(call("aten.index_put", put, f32(8, 16))))
    with pytest.raises(ShardingError):
        rule.shard(rule.factors("self", Shard(0)))


def test_a_mean_is_corrected_where_its_points_are_shared_out() -> None:
    mean = known(call("aten.mean.dim", {"self": f32(4, 6)}, f32(6), properties={"dim": [0]}))
    assert shard(mean, "d0").divides_mean
    assert not shard(mean, "d1").divides_mean
    assert shard(known(mse_loss(4, 6, 1, 1)), "d0").divides_mean
