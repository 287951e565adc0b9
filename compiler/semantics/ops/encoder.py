"""Fused attention blocks of torch's fast paths: projections, attention and feed-forward in one call."""

from collections.abc import Iterator

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import MAC, Step, fused
from steelyard.compiler.semantics.ops.normalization import PER_ROW, SCALE, STATISTICS
from steelyard.compiler.semantics.ops.pointwise import FLOPS_PER_ELEMENT
from steelyard.compiler.semantics.ops.softmax import SOFTMAX
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

_BIAS = Flops(pointwise=1)


@work("aten._native_multi_head_attention")
def attention(call: OpCall) -> OpWork:
    """Projections of queries, keys and values, scores, softmax, the mixed values and their projection."""
    query, key = call.arg("query").type.shape, call.arg("key").type.shape
    return fused(call, "contraction", _attention(query, key[-2], int(call.properties["num_head"])))


@work("aten._transformer_encoder_layer_fwd")
def layer(call: OpCall) -> OpWork:
    """Self-attention and feed-forward, each with its norm and the sum with its input."""
    shape = call.arg("src").type.shape
    return fused(call, "contraction", _layer(call, shape))


def _layer(call: OpCall, shape: tuple[int, ...]) -> Iterator[Step]:
    rows, width = _rows(shape), shape[-1]
    inner = call.arg("ffn_weight_1").type.shape[0]
    activation = FLOPS_PER_ELEMENT["gelu" if call.properties["use_gelu"] else "relu"]
    yield from _attention(shape, shape[-2], int(call.properties["num_heads"]))
    yield _product(rows, width, inner)
    yield Step({"row": rows, "c": inner}, _BIAS + activation)
    yield _product(rows, inner, width)
    # Both biases of the results, both sums with the inputs, and both norms.
    yield Step({"row": 2 * rows, "c": width}, _BIAS + _BIAS + STATISTICS + SCALE + _BIAS + _BIAS)
    yield Step({"row": 2 * rows}, PER_ROW)


def _attention(shape: tuple[int, ...], keys: int, heads: int) -> Iterator[Step]:
    rows, width = _rows(shape), shape[-1]
    yield _product(rows, width, width)
    yield _product(2 * rows // shape[-2] * keys, width, width)
    yield Step({"row": rows + 2 * rows // shape[-2] * keys, "c": width}, _BIAS)
    yield Step({"row": rows, "s": keys, "e": width}, MAC)
    yield Step({"row": rows, "h": heads, "s": keys}, SOFTMAX)
    yield Step({"row": rows, "s": keys, "e": width}, MAC)
    yield _product(rows, width, width)


def _product(rows: int, inner: int, width: int) -> Step:
    return Step({"row": rows, "k": inner, "n": width}, MAC)


def _rows(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape[:-1]:
        total *= size
    return total
