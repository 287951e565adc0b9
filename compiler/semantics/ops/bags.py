"""Embedding bags: rows of a table, added up by bag."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import moved
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

_ADD = Flops(pointwise=1)
_SCALED = Flops(pointwise=2)


@work("aten._embedding_bag", "aten._embedding_bag_forward_only")
def bag(call: OpCall) -> OpWork:
    """One row of the table for each index, which is added to that of its bag."""
    weights = call.get("per_sample_weights")
    values = (call.arg("weight"), call.arg("indices"))
    rows = iteration_space("?indices e, i ->", values, (), _SCALED if weights else _ADD)
    given = [each for each in (call.arg("offsets"), weights) if each]
    return OpWork("gather", (rows, *moved(given, call.outputs)))


@work("aten._embedding_bag_dense_backward")
def bag_backward(call: OpCall) -> OpWork:
    """Zeros, to which the gradient of a bag is added at the row of each of its indices."""
    table, grad = call.result(), call.arg("grad")
    zeros = iteration_space("-> v e", (), (table,))
    values = (grad, call.arg("indices"), call.arg("offset2bag"))
    added = iteration_space("?offset2bag e, i, i -> ?indices e", values, (table,), _ADD)
    given = [each for each in (call.get("bag_size"), call.get("per_sample_weights")) if each]
    return OpWork("scatter", (zeros, added, *moved(given, ())))


@work("aten._embedding_bag_per_sample_weights_backward")
def weights_backward(call: OpCall) -> OpWork:
    """The product of each row with the gradient of its bag."""
    values = (call.arg("grad"), call.arg("weight"), call.arg("indices"), call.arg("offset2bag"))
    products = iteration_space("?offset2bag e, ?indices e, i, i -> i", values, (call.result(),), _SCALED)
    return OpWork("gather", (products,))
