"""Torch operator schemas as text, read without torch.

`aten::mm(Tensor self, Tensor mat2) -> Tensor` is a schema; the IR op is named `aten.mm`, and
`aten::add.Tensor` is `aten.add.Tensor`. The table is written by `benchmarks/dump_torch_schemas.py`.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TENSOR_KINDS = {"Tensor", "Tensor?", "Tensor[]", "Tensor?[]", "Tensor[]?"}
_SCALAR_KINDS = {
    "int", "SymInt", "float", "bool", "str", "Scalar", "complex", "Any",
    "ScalarType", "Device", "Layout", "MemoryFormat", "Generator", "DeviceIndex", "QScheme", "Dimname",
}  # fmt: skip


_PACKED = re.compile(r"__torch__\.torch\.classes\.quantized\.\w+PackedParamsBase (\w+)$")
"""Weights that a library keeps in an order of its own; to the IR a tensor like any other."""


class UnsupportedSchema(ValueError):
    """The schema uses a type that no tensor program carries (dicts, futures, type variables)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument or return: its name, kind (`Tensor`, `int[]?`, ...), default text and alias set."""

    name: str
    kind: str
    default: str | None
    alias: str | None
    writes: bool

    @property
    def is_tensor(self) -> bool:
        """Whether its value is an operand (or operands) rather than a property."""
        return self.kind in TENSOR_KINDS


@dataclass(frozen=True, slots=True)
class Schema:
    """A torch operator: `name` is the IR's (`aten.add.Tensor`), arguments in torch's order."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: tuple[Parameter, ...]
    num_positional: int

    @property
    def mutates(self) -> bool:
        """Whether any argument is written."""
        return any(p.writes for p in self.parameters)

    @property
    def only_computes(self) -> bool:
        """Whether all it does is by its tensors: it names no file, and does not set a state or print."""
        has_value = bool(self.returns) or any(p.is_tensor for p in self.parameters)
        return has_value and all(p.name != "filename" for p in self.parameters)


def _ir_name(qualified: str) -> str:
    namespace, name = qualified.split("::")
    return f"{namespace}.{name}"


def _split(text: str) -> list[str]:
    """Splits at commas outside of brackets."""
    parts, depth, start = list[str](), 0, 0
    for position, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()] if text.strip() else []


_PARAMETER = re.compile(
    r"(?P<base>\w+)(?P<alias>\([^)]*\))?(?P<suffix>[\[\]\d?]*)(?P<alias2>\([^)]*\))?"
    r"(?:\s+(?P<name>\w+))?(?:=(?P<default>.*))?$"
)


def _parse_parameter(text: str) -> Parameter:
    if packed := _PACKED.match(text):
        return Parameter(packed[1], "Tensor", None, None, False)
    match = _PARAMETER.match(text)
    if match is None:
        raise UnsupportedSchema(text)
    base = match["base"]
    if base != "Tensor" and base not in _SCALAR_KINDS:
        raise UnsupportedSchema(text)
    kind = base + re.sub(r"\d", "", match["suffix"])
    alias = (match["alias"] or match["alias2"] or "").strip("()")
    return Parameter(match["name"] or "", kind, match["default"], alias.split("!")[0] or None, "!" in alias)


def parse_schema(text: str) -> Schema:
    """Reads one torch schema string.

    Raises:
        UnsupportedSchema: a type in it is not one of tensors, scalars and lists of them.
    """
    head, returns = text.rsplit(" -> ", 1)
    qualified, arguments = head.split("(", 1)
    names = _split(arguments[:-1])
    positional = names.index("*") if "*" in names else len(names)
    parameters = tuple(_parse_parameter(name) for name in names if name != "*")
    returned = _split(returns[1:-1]) if returns.startswith("(") else [returns]
    return Schema(_ir_name(qualified), parameters, tuple(map(_parse_parameter, returned)), positional)


@cache
def schema_lines() -> dict[str, str]:
    """The unparsed schema text of every known op by IR name."""
    text = files("steelyard.compiler.dialects").joinpath("torch_schemas.txt").read_text()
    return {_ir_name(line.split("(", 1)[0]): line for line in text.splitlines()}


@cache
def schema_of(name: str) -> Schema | None:
    """The schema of an IR op name such as `aten.mm`, or None where torch has no such operator."""
    line = schema_lines().get(name)
    return None if line is None else parse_schema(line)
