"""Matrix products, dense, batched and grouped."""

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import nest
from steelyard.compiler.semantics.nest import Flops, Nest
from steelyard.compiler.semantics.registry import einsum, work
from steelyard.compiler.semantics.work import Work

MAC = Flops(contraction=2)

einsum("aten.mm", "m k, k n -> m n")
einsum("aten.bmm", "b m k, b k n -> b m n")
einsum("aten.mv", "m k, k -> m")
einsum("aten.dot", "k, k ->")
einsum("aten.vdot", "k, k ->")


@work("aten.addmm")
def addmm(call: OpCall) -> Work:
    """Return self + mat1 @ mat2."""
    return _with_addend(call, "m k, k n -> m n", ("mat1", "mat2"))


@work("aten.addmv")
def addmv(call: OpCall) -> Work:
    """Return self + mat @ vec."""
    return _with_addend(call, "m k, k -> m", ("mat", "vec"))


@work("aten.baddbmm")
def baddbmm(call: OpCall) -> Work:
    """Return self + batch1 @ batch2."""
    return _with_addend(call, "b m k, b k n -> b m n", ("batch1", "batch2"))


@work("aten.addbmm")
def addbmm(call: OpCall) -> Work:
    """Return self + the sum over the batch of batch1 @ batch2."""
    return _with_addend(call, "b m k, b k n -> m n", ("batch1", "batch2"))


@work("aten.addr")
def addr(call: OpCall) -> Work:
    """Return self + the outer product of vec1 and vec2."""
    return _with_addend(call, "m, n -> m n", ("vec1", "vec2"))


@work("aten.linear")
def linear(call: OpCall) -> Work:
    """Return input @ weight.T + bias."""
    product = nest("... k, n k -> ... n", (call.arg("input"), call.arg("weight")), (call.result(),), MAC)
    return _plus(product, call.get("bias"), Flops(pointwise=1))


@work("aten.matmul")
def matmul(call: OpCall) -> Work:
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
    return Work("contraction", (nest(equation, (left, right), (call.result(),), MAC),))


@work("aten._grouped_mm")
def grouped_mm(call: OpCall) -> Work:
    """Products of one matrix per group; the groups are the runs of rows (or columns) that `offs` ends.

    How long each run is only the data know, but not how much work it is: every row meets one matrix.
    """
    left, right = call.arg("self"), call.arg("mat2")
    ranks = len(left.type.shape), len(right.type.shape)
    equation = {
        (2, 3): "m k, ? k n -> m n",
        (3, 2): "? m k, k n -> m n",
        # Here k is shared out among the groups, which are no further factor of the work.
        (2, 2): "m k, k n -> ? m n",
        (3, 3): "g m k, g k n -> g m n",
    }[ranks]
    offsets = call.get("offs")
    product = nest(equation, (left, right), (call.result(),), MAC)
    ends = (nest("group ->", (offsets,), ()),) if offsets else ()
    return Work("contraction", (product, *ends))


def _with_addend(call: OpCall, equation: str, factors: tuple[str, str]) -> Work:
    product = nest(equation, tuple(map(call.arg, factors)), (call.result(),), MAC)
    scales = sum(call.properties.get(scale, 1) != 1 for scale in ("alpha", "beta"))
    return _plus(product, call.get("self"), Flops(pointwise=1 + scales))


def _plus(product: Nest, addend: Value | None, per_point: Flops) -> Work:
    """Return a product to which a tensor is added while it is written."""
    if addend is None:
        return Work("contraction", (product,))
    dims = [each[0] if each else "1" for each in product.writes[0].dims if each is not None]
    term = " ".join(dims[len(dims) - len(addend.type.shape) :])
    sizes = {dim: product.dims[dim] for dim in dims if dim != "1"}
    return Work(
        "contraction",
        (product, nest(f"{term} -> {' '.join(dims)}", (addend,), (None,), per_point, sizes=sizes)),
    )
