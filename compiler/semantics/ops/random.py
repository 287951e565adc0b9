"""Random numbers. What the generator computes is not counted: no formula of the op defines it."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork

_GENERATORS = (
    "rand randn randint randperm rand_like randn_like randint_like uniform normal normal_functional random"
    " exponential geometric cauchy log_normal"
)


def _generate(call: OpCall) -> OpWork:
    """Every element is drawn; parameters that are tensors are read, the old content is not."""
    given = [each for each in call.tensors if each.name in ("mean", "std")]
    return OpWork("random", (elementwise(given, call.outputs, Flops()),), is_random=True)


@work("aten.bernoulli")
def bernoulli(call: OpCall) -> OpWork:
    """The chance is a number, a tensor `p`, or the tensor itself unless it is filled in place."""
    chances = call.get("p") or (None if call.in_place or "p" in call.properties else call.arg("self"))
    space = elementwise([chances] if chances else [], (call.result(),), Flops(pointwise=1))
    return OpWork("random", (space,), is_random=True)


@work("aten.native_dropout", "aten._fused_dropout")
def dropout(call: OpCall) -> OpWork:
    """A random mask, and the input times mask and scale."""
    space = elementwise((next(call.tensors),), call.outputs, Flops(pointwise=3))
    return OpWork("random", (space,), is_random=True)


@work("aten.multinomial")
def multinomial(call: OpCall) -> OpWork:
    """The weights are summed up, and each draw searches in the sums."""
    weights = call.arg("self")
    take = elementwise((weights,), (), Flops(pointwise=1))
    draw = elementwise((), (call.result(),), Flops(), prefix="draw")
    return OpWork("random", (take, draw), is_random=True)


for _name in _GENERATORS.split():
    register(f"aten.{_name}", _generate)
