"""Facts of an op: its call, its work and its aliases, read once for each distinct call."""

import ast
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import cast

from xdsl.dialects import builtin
from xdsl.ir import Attribute, SSAValue

from steelyard.compiler.analysis.work_text import work_from_text
from steelyard.compiler.dialects.cost_spaces import SPACES, SpacesAttr
from steelyard.compiler.dialects.host import HostType
from steelyard.compiler.dialects.program import OP_PATH, SOURCE, text_attribute
from steelyard.compiler.dialects.schema import Parameter, Schema
from steelyard.compiler.dialects.torch_op import Argument, TorchOp, operator_name
from steelyard.compiler.semantics.call import OpCall, Operand
from steelyard.compiler.semantics.registry import entry_of, work_of
from steelyard.compiler.semantics.tensor_type import ITEM_BYTES, TensorType
from steelyard.compiler.semantics.type_check import check_types
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError

_COMPLEX = {"complex<f16>": "c32", "complex<f32>": "c64", "complex<f64>": "c128"}
_REDUCTION = {"None": None, "Mean": 1, "Sum": 2}
_ABSENT = TensorType((0,), "i1")
_MOST_KNOWN = 20_000
_known_facts: dict[Hashable, "OpInfo"] = {}


@dataclass(frozen=True, slots=True)
class OpInfo:
    """Work and aliases of a call; operands and results are meant by their index in the op.

    Attributes:
        work: The work, None where it is unknown.
        aliases: For each result the operand whose storage it shares, None where it has its own.
        gradients: The operands that an optimizer takes as gradients.
    """

    work: OpWork | None
    aliases: tuple[int | None, ...]
    gradients: tuple[int, ...]


class OpInfoCache:
    """Reads ops; what it found for one call it knows for all that are like it.

    Readers share what they found, as long as the op has the same entry in the registry of work.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, OpInfo] = {}

    def read(self, op: TorchOp) -> OpInfo:
        """The facts of an op.

        Raises:
            IRError: a type cannot be read, or the op does not fit the rule for its work.
        """
        key = call_key(op)
        facts = self._known.get(key)
        if facts is None:
            self._known[key] = facts = _shared_facts(op, key)
        return facts


def call_key(op: TorchOp) -> Hashable:
    """Return the name, properties, types and given work that two calls share if they do the same."""
    return (
        op.name,
        tuple([value.type for value in op.operands]),
        tuple([value.type for value in op.results]),
        frozenset(op.properties.items()),
        op.attributes.get(SPACES),
    )


def to_call(op: TorchOp) -> OpCall:
    """An op as the rules of work see it, with the defaults of its schema filled in.

    A result of type `none`, which the kernel leaves undefined, is a tensor without elements.

    Raises:
        IRError: a type is not a tensor of known shape and known elements.
    """
    schema, given = op.schema, op.arguments()
    operands = tuple((p.name, _operand(given.get(p.name))) for p in schema.parameters if p.is_tensor)
    properties = {
        p.name: _value(p, given) for p in schema.parameters if not p.is_tensor or _literal(p, given)
    }
    results = tuple(tensor_type(result.type) or _ABSENT for result in op.results)
    writes = frozenset(p.name for p in schema.parameters if p.writes)
    return OpCall(schema.name, operands, properties, results, writes)


@cache
def tensor_type(attribute: Attribute) -> TensorType | None:
    """The tensor type of an IR type, None for `none`.

    Raises:
        IRError: the shape or the element type is not known.
    """
    if isinstance(attribute, builtin.NoneType):
        return None
    if not isinstance(attribute, builtin.TensorType):
        raise IRError(what=f"{attribute} is not the type of a tensor", fix="use tensor<4x8xf32> or the like")
    text = str(cast("builtin.TensorType[Attribute]", attribute).element_type)
    dtype = "f8" if text.startswith("f8E") else _COMPLEX.get(text, text)
    shape = attribute.get_shape()
    if dtype not in ITEM_BYTES or any(size < 0 for size in shape):
        raise IRError(
            what=f"the size of {attribute} is not known",
            why=f"its shape must be whole numbers, its elements one of {', '.join(ITEM_BYTES)}",
        )
    return TensorType(tuple(shape), dtype)


def size_bytes(attribute: Attribute) -> int:
    """Bytes of the device that the elements of an IR type take, 0 for `none` and for copies on the host.

    Raises:
        IRError: see `tensor_type`.
    """
    if isinstance(attribute, HostType):
        return 0
    found = tensor_type(attribute)
    return found.bytes if found else 0


def where(op: TorchOp) -> str:
    """Return the origin of an op, for errors and remarks: `transformer.h.0.mlp (modeling_gpt2.py:215)`."""
    path, source = text_attribute(op, OP_PATH), text_attribute(op, SOURCE)
    return f"{path} ({source})".strip() if source else path


def _shared_facts(op: TorchOp, key: Hashable) -> OpInfo:
    shared_key = key, entry_of(operator_name(op))
    if shared_key not in _known_facts:
        if len(_known_facts) >= _MOST_KNOWN:
            _known_facts.clear()
        _known_facts[shared_key] = _facts(op)
    return _known_facts[shared_key]


def _facts(op: TorchOp) -> OpInfo:
    call = to_call(op)
    given = op.attributes.get(SPACES)
    try:
        work = work_of(call)
        if work is None and isinstance(given, SpacesAttr):
            work = work_from_text(given.data, call)
        if work:
            check_types(call, work)
    except IRError as error:
        raise IRError(
            what=error.what, where=f"{operator_name(op)} {where(op)}".strip(), why=error.why, fix=error.fix
        ) from error
    except (LookupError, ValueError, TypeError, ZeroDivisionError, StopIteration) as error:
        # A description may take for granted what no program of torch violates.
        raise IRError(
            what="the operands and arguments of the op do not fit together",
            where=f"{operator_name(op)} {where(op)}".strip(),
            why=f"{type(error).__name__}: {error}",
        ) from error
    names = [value.name for value in call.tensors]
    aliases = tuple(
        names.index(name) if name in names else None for name in _shared(op.schema, work, len(op.results))
    )
    gradients = f"{work.gradients}[" if work and work.gradients else None
    return OpInfo(
        work, aliases, tuple(i for i, name in enumerate(names) if gradients and name.startswith(gradients))
    )


def _shared(schema: Schema, work: OpWork | None, count: int) -> list[str | None]:
    """For each result the argument whose storage it shares.

    An op that writes its argument returns just that. A view may be a copy after all (reshape, contiguous):
    the rule for its work knows from the shapes, the schema is asked only where there is none.
    """
    arguments = {_alias_set(p): p for p in schema.parameters if p.alias and (p.writes or work is None)}
    listed = any(p.kind.endswith("]") for p in schema.returns)
    returns = schema.returns * count if listed else schema.returns
    shared: list[str | None] = []
    for index, returned in enumerate(returns[:count]):
        parameter = arguments.get(_alias_set(returned)) if returned.alias else None
        name = parameter.name if parameter else None
        shared.append(f"{name}[{index}]" if parameter and parameter.kind.endswith("]") else name)
    for index, name in work.aliases if work else ():
        shared[index] = name
    return shared


def _alias_set(parameter: Parameter) -> str:
    # "a -> *" puts the argument's set into any element of the list that is returned.
    return (parameter.alias or "").split(" ")[0]


def _operand(argument: Argument) -> Operand:
    if isinstance(argument, SSAValue):
        return tensor_type(argument.type)
    if isinstance(argument, list):
        return tuple(tensor_type(each.type) if isinstance(each, SSAValue) else None for each in argument)
    return None


def _literal(parameter: Parameter, given: dict[str, Argument]) -> bool:
    """Whether a number stands where the schema has a tensor."""
    value = given.get(parameter.name)
    return value is not None and not isinstance(value, SSAValue | list)


def _value(parameter: Parameter, given: dict[str, Argument]) -> object:
    if parameter.name in given:
        return given[parameter.name]
    text = parameter.default
    if text is None or text in _REDUCTION:
        return _REDUCTION.get(text or "None")
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text  # such as contiguous_format
    # `int[2] stride=1` is short for a list.
    return [value] if parameter.kind.endswith("]") and isinstance(value, int) else value
