"""Scaled dot product attention as one kernel, forward and backward, with grouped heads.

The matrix of scores is never in memory. A causal mask does not lower the count, as in torch's counter: what a
kernel skips is a matter of its tiles.
"""

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.ops.softmax import SOFTMAX, SOFTMAX_BACKWARD
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

MAC = Flops(contraction=2)

# q and s count positions of queries and keys, e and v the features of keys and values. A head of the queries
# shares head k of the keys with g - 1 others.
QUERY, KEY, VALUE, OUT = "... k*g q e", "... k s e", "... k s v", "... k*g q v"
SCORES = "... k g q s"
# What is kept of each row of scores; kernels may round the number of rows up.
PER_ROW = "... k*g row"
_SIDES = (
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_fused_attention_overrideable",
)


@work(*_SIDES, "aten.scaled_dot_product_attention")
def attention(call: OpCall) -> OpWork:
    """Return softmax(query @ key.T) @ value: two contractions."""
    query, key, value = call.arg("query"), call.arg("key"), call.arg("value")
    sizes = _sizes(query, key)
    scores = iteration_space(
        _equation(f"{QUERY}, {KEY} -> {SCORES}", query), (query, key), (None,), MAC, sizes=sizes
    )
    mixed = iteration_space(
        _equation(f"{SCORES}, {VALUE} -> {OUT}", query), (None, value), (call.result(),), MAC, sizes=sizes
    )
    extras = [_extra(each, query, sizes) for each in call.outputs[1:]]
    softmax = _softmax(call, scores, SOFTMAX)
    return OpWork(
        "attention", (scores, *_mask(call, scores), softmax, mixed, *extras), is_random=_drops(call)
    )


@work(*(f"{name}_backward" for name in _SIDES))
def attention_backward(call: OpCall) -> OpWork:
    """Five contractions: the scores again, and the gradients of probabilities, values, queries and keys."""
    query, key, value = call.arg("query"), call.arg("key"), call.arg("value")
    grad = call.get("grad_out") or call.arg("grad_out_")
    grads = call.outputs
    sizes = _sizes(query, key)

    def product(equation: str, *values: Value | None) -> IterationSpace:
        return iteration_space(_equation(equation, query), values[:2], values[2:], MAC, sizes=sizes)

    scores = product(f"{QUERY}, {KEY} -> {SCORES}", query, key, None)
    spaces = (
        scores,
        *_mask(call, scores),
        _softmax(call, scores, SOFTMAX + SOFTMAX_BACKWARD),
        product(f"{OUT}, {VALUE} -> {SCORES}", grad, value, None),
        product(f"{SCORES}, {OUT} -> {VALUE}", None, grad, grads[2]),
        product(f"{SCORES}, {KEY} -> {QUERY}", None, key, grads[0]),
        product(f"{SCORES}, {QUERY} -> {KEY}", None, query, grads[1]),
    )
    out, logsumexp = call.get("out"), call.get("logsumexp")
    reads = [
        *([iteration_space(_equation(f"{OUT} ->", query), (out,), (), sizes=sizes)] if out else ()),
        *(
            [iteration_space(_equation(f"{PER_ROW} ->", query), (logsumexp,), (), sizes=sizes)]
            if logsumexp
            else ()
        ),
    ]
    extras = [elementwise((), (each,), Flops(), prefix="extra") for each in grads[3:]]
    return OpWork("attention", (*spaces, *reads, *extras))


def _drops(call: OpCall) -> bool:
    return bool(call.properties.get("dropout_p"))


def _equation(equation: str, query: Value) -> str:
    """Name the batch dims, so that terms of tensors that stay on chip need no rank."""
    batch = " ".join(f"b{i}" for i in range(len(query.type.shape) - 3))
    return equation.replace("...", batch)


def _sizes(query: Value, key: Value) -> dict[str, int]:
    heads, shared = query.type.shape[-3], key.type.shape[-3]
    return {"k": shared, "g": heads // shared}


def _extra(value: Value, query: Value, sizes: dict[str, int]) -> IterationSpace:
    """A result beside the output: one number for each row of scores, or the state of random numbers."""
    if value.type.shape[:-1] == query.type.shape[:-2]:
        return iteration_space(_equation(f"-> {PER_ROW}", query), (), (value,), sizes=sizes)
    return elementwise((), (value,), Flops(), prefix="extra")


def _softmax(call: OpCall, scores: IterationSpace, flops_per_iteration: Flops) -> IterationSpace:
    space = {dim: extent for dim, extent in scores.dims.items() if dim != "e"}
    return IterationSpace(
        space,
        frozenset("s"),
        flops_per_iteration=flops_per_iteration,
        combine="online_softmax",
        positional=frozenset("qs") if call.properties.get("is_causal") else frozenset(),
    )


def _mask(call: OpCall, scores: IterationSpace) -> tuple[IterationSpace, ...]:
    """The mask or bias that is added to the scores, if one is given."""
    given = call.get("attn_mask") or call.get("attn_bias")
    if given is None:
        return ()
    batch = [dim for dim in scores.dims if dim.startswith("b")]
    full = [*batch, "k*g", "q", "s"]
    sizes = {dim: extent for dim, extent in scores.dims.items() if dim != "e"}
    term = " ".join(full[len(full) - len(given.type.shape) :])
    whole = " ".join([*batch, "k", "g", "q", "s"])
    return (iteration_space(f"{term} -> {whole}", (given,), (None,), Flops(pointwise=1), sizes=sizes),)
