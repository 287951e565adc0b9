"""Matrix products, dense, batched and grouped."""

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import einsum, work
from steelyard.compiler.semantics.work import OpWork, Summand

MAC = Flops(contraction=2)

einsum("aten.mm", "m k, k n -> m n")
einsum("aten.bmm", "b m k, b k n -> b m n")
einsum("aten.mv", "m k, k -> m")
einsum("aten._int_mm", "m k, k n -> m n")
einsum("aten.dot", "k, k ->")
einsum("aten.vdot", "k, k ->")


@work("aten.addmm")
def addmm(call: OpCall) -> OpWork:
    """Return self + mat1 @ mat2."""
    return _with_addend(call, "m k, k n -> m n", ("mat1", "mat2"))


@work("aten.addmv")
def addmv(call: OpCall) -> OpWork:
    """Return self + mat @ vec."""
    return _with_addend(call, "m k, k -> m", ("mat", "vec"))


@work("aten.baddbmm")
def baddbmm(call: OpCall) -> OpWork:
    """Return self + batch1 @ batch2."""
    return _with_addend(call, "b m k, b k n -> b m n", ("batch1", "batch2"))


@work("aten.addbmm")
def addbmm(call: OpCall) -> OpWork:
    """Return self + the sum over the batch of batch1 @ batch2."""
    return _with_addend(call, "b m k, b k n -> m n", ("batch1", "batch2"))


@work("aten.addr")
def addr(call: OpCall) -> OpWork:
    """Return self + the outer product of vec1 and vec2."""
    return _with_addend(call, "m, n -> m n", ("vec1", "vec2"))


@work("aten.linear")
def linear(call: OpCall) -> OpWork:
    """Return input @ weight.T + bias."""
    product = iteration_space(
        "... k, n k -> ... n", (call.arg("input"), call.arg("weight")), (call.result(),), MAC
    )
    summands = (Summand(("input", "weight")), Summand(("bias",)))
    return _plus(product, call.get("bias"), Flops(pointwise=1), summands)


@work("aten.matmul")
def matmul(call: OpCall) -> OpWork:
    """Return the product of vectors, matrices or batches of matrices."""
    left, right = call.arg("self"), call.arg("other")
    by_vector = len(right.type.shape) == 1
    from_vector = len(left.type.shape) == 1
    equation = (
        ("k" if from_vector else "... m k")
        + (", k" if by_vector else ", ... k n")
        + (" -> " if from_vector and by_vector else " -> ... ")
        + ("" if from_vector else "m ")
        + ("" if by_vector else "n")
    )
    product = iteration_space(equation, (left, right), (call.result(),), MAC)
    return OpWork("contraction", (product,), summands=(Summand(("self", "other")),))


@work("aten._trilinear")
def trilinear(call: OpCall) -> OpWork:
    """The sum over some dims of the product of three tensors, which are expanded to each other's dims."""
    values = [call.arg(name) for name in ("i1", "i2", "i3")]
    expanded: list[list[int]] = [call.properties[f"expand{at}"] for at in (1, 2, 3)]
    rank = len(values[0].type.shape) + len(expanded[0])
    reduced: list[int] = call.properties["sumdim"]
    dims = [[f"d{i}" for i in range(rank) if i not in missing] for missing in expanded]
    kept = " ".join(f"d{i}" for i in range(rank) if i not in reduced)
    equation = f"{', '.join(map(' '.join, dims))} -> {kept}"
    product = iteration_space(equation, values, (call.result(),), MAC + Flops(pointwise=1))
    return OpWork("contraction", (product,), summands=(Summand(("i1", "i2", "i3")),))


@work("aten._scaled_mm")
def scaled_mm(call: OpCall) -> OpWork:
    """Return the product of two tensors of low precision, each times its scale, + bias."""
    factors = (call.arg("self"), call.arg("mat2"))
    product = iteration_space("m k, k n -> m n", factors, (call.result(),), MAC)
    given = [call.get(name) for name in ("scale_a", "scale_b", "bias", "scale_result")]
    scales = [elementwise((each,), (), Flops(), prefix=f"s{at}_") for at, each in enumerate(given) if each]
    applied = IterationSpace(
        {dim: product.dims[dim] for dim in "mn"}, flops_per_iteration=Flops(pointwise=2 + bool(given[2]))
    )
    return OpWork("contraction", (product, applied, *scales), summands=(Summand(("self", "mat2")),))


@work("aten._grouped_mm")
def grouped_mm(call: OpCall) -> OpWork:
    """Products of one matrix per group; the groups are the runs of rows (or columns) that `offs` ends.

    How long each run is only the data know, but not how much work it is: every row meets one matrix.
    """
    left, right = call.arg("self"), call.arg("mat2")
    ranks = len(left.type.shape), len(right.type.shape)
    equation = {
        (2, 3): "m k, ?offs k n -> m n",
        (3, 2): "?offs m k, k n -> m n",
        # Here k is shared out among the groups, which are no further factor of the work.
        (2, 2): "m k, k n -> ?offs m n",
        (3, 3): "g m k, g k n -> g m n",
    }[ranks]
    offsets = call.get("offs")
    product = iteration_space(equation, (left, right), (call.result(),), MAC)
    ends = (iteration_space("group ->", (offsets,), ()),) if offsets else ()
    return OpWork("contraction", (product, *ends), summands=(Summand(("self", "mat2")),))


def _with_addend(call: OpCall, equation: str, factors: tuple[str, str]) -> OpWork:
    product = iteration_space(equation, tuple(map(call.arg, factors)), (call.result(),), MAC)
    scales = sum(call.properties.get(scale, 1) != 1 for scale in ("alpha", "beta"))
    summands = (Summand(factors, "alpha"), Summand(("self",), "beta"))
    return _plus(product, call.get("self"), Flops(pointwise=1 + scales), summands)


def _plus(
    product: IterationSpace,
    addend: Value | None,
    flops_per_iteration: Flops,
    summands: tuple[Summand, ...],
) -> OpWork:
    """Return a product to which a tensor is added while it is written."""
    if addend is None:
        return OpWork("contraction", (product,), summands=summands[:1])
    dims = [index.dims[0] if index.terms else "1" for index in product.writes[0].indices]
    term = " ".join(dims[len(dims) - len(addend.type.shape) :])
    sizes = {dim: product.dims[dim] for dim in dims if dim != "1"}
    return OpWork(
        "contraction",
        (
            product,
            iteration_space(
                f"{term} -> {' '.join(dims)}", (addend,), (None,), flops_per_iteration, sizes=sizes
            ),
        ),
        summands=summands,
    )


@work(
    "quantized.linear_dynamic",
    "quantized.linear_relu_dynamic",
    "quantized.linear_dynamic_fp16",
    "quantized.linear_relu_dynamic_fp16",
)
def quantized_linear(call: OpCall) -> OpWork:
    """Return X @ W^T, W of fewer bits than X."""
    space = iteration_space("... k, n k -> ... n", tuple(call.tensors), call.outputs, MAC)
    return OpWork("contraction", (space,))
