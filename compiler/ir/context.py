"""The xDSL context of a Steelyard program: every dialect it may use, loaded when first met."""

from collections.abc import Set

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.traits import EffectInstance

from steelyard.compiler.dialects.cost import get_cost
from steelyard.compiler.dialects.host import get_host
from steelyard.compiler.dialects.kernel import get_kernel
from steelyard.compiler.dialects.program import get_program
from steelyard.compiler.dialects.torch_dialects import get_aten, get_c10d, get_torch
from steelyard.compiler.dialects.torch_op import TorchEffects, TorchOp
from steelyard.compiler.ir.string_lexer import mend_string_lexer

DIALECTS = {
    "aten": get_aten,
    "_c10d_functional": get_c10d,
    "torch": get_torch,
    "program": get_program,
    "cost": get_cost,
    "kernel": get_kernel,
    "host": get_host,
}


def _effects(op: TorchOp) -> Set[EffectInstance] | None:
    # Read when a pass asks, so that a tool starts without the rules of all ops.
    from steelyard.compiler.analysis.memory_effects import memory_effects

    return memory_effects(op)


TorchEffects.model = _effects
mend_string_lexer()


def make_context() -> Context:
    """A context with `builtin`, `func` and Steelyard's dialects."""
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(Func)
    for name, dialect in DIALECTS.items():
        context.register_dialect(name, dialect)
    return context
