"""Random numbers. What the generator computes is not counted: no formula of the op defines it."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.nest import Flops
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import Work

_GENERATORS = (
    "rand randn randint randperm rand_like randn_like randint_like uniform normal normal_functional random"
    " exponential geometric cauchy log_normal"
)


def _generate(call: OpCall) -> Work:
    """Every element is drawn; parameters that are tensors are read, the old content is not."""
    given = [each for each in call.tensors if each.name in ("mean", "std")]
    return Work("random", (elementwise(given, call.outputs, Flops()),))


@work("aten.bernoulli")
def bernoulli(call: OpCall) -> Work:
    """The chance is a number, a tensor `p`, or the tensor itself unless it is filled in place."""
    chances = call.get("p") or (None if call.in_place or "p" in call.properties else call.arg("self"))
    return Work("random", (elementwise([chances] if chances else [], (call.result(),), Flops(pointwise=1)),))


@work("aten.native_dropout", "aten._fused_dropout")
def dropout(call: OpCall) -> Work:
    """A random mask, and the input times mask and scale."""
    return Work("random", (elementwise((next(call.tensors),), call.outputs, Flops(pointwise=3)),))


@work("aten.multinomial")
def multinomial(call: OpCall) -> Work:
    """The weights are summed up, and each draw searches in the sums."""
    weights = call.arg("self")
    take = elementwise((weights,), (), Flops(pointwise=1))
    return Work("random", (take, elementwise((), (call.result(),), Flops(), prefix="draw")))


for _name in _GENERATORS.split():
    register(f"aten.{_name}", _generate)
