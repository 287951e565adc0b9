"""Registry of work rules: one entry makes every pass understand an op."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import iteration_space, parse
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.work import OpWork, Summand
from steelyard.hw.base.kernel_work import WorkKind

Rule = Callable[[OpCall], OpWork | None]

_RULES: dict[str, Rule] = {}


def alias(name: str, like: str, arguments: Mapping[str, str]) -> None:
    """Register an op of another frontend as a second name for the work of a known one.

    `alias("onnx.MatMul", like="aten.matmul", arguments={"A": "self", "B": "other"})`

    Args:
        name: The op.
        like: The op whose rule says the work.
        arguments: For each argument of `name` that of `like`; what is not named has the same name in both.
    """
    spelled = {theirs: own for own, theirs in arguments.items()}

    def rule(call: OpCall) -> OpWork | None:
        translated = replace(
            call,
            name=like,
            operands=tuple((arguments.get(own, own), operand) for own, operand in call.operands),
            properties={arguments.get(own, own): value for own, value in call.properties.items()},
            writes=frozenset(arguments.get(own, own) for own in call.writes),
        )
        work = work_of(translated)
        return work and work.renamed(spelled)

    register(name, rule)


def register(name: str, rule: Rule) -> None:
    """Register the work that an op does; a later entry replaces an earlier one.

    Args:
        name: One overload ("aten.add.Tensor") or all overloads of an op ("aten.add"). The in-place op
            "aten.add_" is understood by the same entry.
        rule: Returns the work of a call, None where it cannot know. It gets shapes and types, never data.
    """
    _RULES[name] = rule


def work(*names: str) -> Callable[[Rule], Rule]:
    """Decorate a rule to `register` it under each of `names`."""

    def enter(rule: Rule) -> Rule:
        for name in names:
            register(name, rule)
        return rule

    return enter


def einsum(name: str, equation: str, kind: WorkKind | None = None, flops: Flops | None = None) -> None:
    """Register an op by an equation over its tensors, as in `einsum("aten.mm", "m k, k n -> m n")`.

    Args:
        name: As in `register`.
        equation: A term for each tensor that the op is given, in the order of its schema, an arrow, and
            a term for each result. `steelyard.compiler.semantics.equation` says what a term may hold.
        kind: The kind of kernel; a contraction if a dim is summed over, else pointwise.
        flops: The operations at each point; a multiply-accumulate for a contraction, else 1 pointwise.
    """
    parse(equation)

    def rule(call: OpCall) -> OpWork:
        values = tuple(call.tensors)
        space = iteration_space(equation, values, call.outputs)
        kind_: WorkKind = kind or ("contraction" if space.reduction else "pointwise")
        default = Flops(contraction=2) if kind_ == "contraction" else Flops(pointwise=1)
        summands = (Summand(tuple(each.name for each in values)),) if kind_ == "contraction" else ()
        space = iteration_space(equation, values, call.outputs, default if flops is None else flops)
        return OpWork(kind_, (space,), summands=summands)

    register(name, rule)


def knows(name: str) -> bool:
    """Return whether an entry covers the op `name`."""
    return entry_of(name) is not None


def work_of(call: OpCall) -> OpWork | None:
    """Return the work of a call, or None if it is unknown (never work of size 0)."""
    found = entry_of(call.name)
    if found is None:
        return None
    rule, in_place = found
    result = rule(call)
    return _in_place(call, result) if in_place and call.in_place and result else result


def entry_of(name: str) -> tuple[Rule, bool] | None:
    """Return the rule for an op and whether it speaks of the functional form of an in-place op."""
    namespace, base, *overload = name.split(".")
    packet = f"{namespace}.{base}"
    rule = _RULES.get(name) or _RULES.get(packet)
    if rule:
        return rule, False
    if not base.endswith("_") or base.endswith("__"):
        return None
    rule = _RULES.get(".".join([packet[:-1], *overload])) or _RULES.get(packet[:-1])
    return (rule, True) if rule else None


def _in_place(call: OpCall, functional: OpWork) -> OpWork:
    """Return the work of an in-place op: that of the functional one, whose result is its first argument."""
    if functional.kind == "view" or not functional.spaces or not call.operands:
        return functional
    target = call.operands[0][0]
    # What the result is, the target becomes: it has the same maps.
    spaces = tuple(
        replace(
            space,
            shapes=tuple(replace(each, value=target) for each in space.writes if each.value == "result0"),
        )
        for space in functional.spaces
    )
    return replace(
        functional, spaces=spaces, aliases=((0, target),) if call.results else (), mutates=(target,)
    )
