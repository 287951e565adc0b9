"""The base of every operator of torch in the IR: operands and properties as in torch's own schema."""

from collections.abc import Callable, Iterator, Sequence, Set
from typing import ClassVar, Self, TypeAlias, cast

from xdsl.dialects.builtin import NoneType, StringAttr, TensorType
from xdsl.ir import Attribute, Operation, OpTraits, SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import EffectInstance, MemoryEffect
from xdsl.utils.exceptions import VerifyException

from steelyard.compiler.dialects.literal import (
    Literal,
    format_literal,
    from_attribute,
    parse_literal,
    to_attribute,
)
from steelyard.compiler.dialects.schema import Parameter, Schema, UnsupportedSchema, parse_schema, schema_of

TensorArgument: TypeAlias = "SSAValue | list[SSAValue | None] | None"
Argument: TypeAlias = "TensorArgument | Literal"

_MAY_BE_UNDEFINED = ("attn_bias",)
"""Tensors that kernels take undefined, although torch's schemas do not say so."""

LAYOUT = "operand_layout"
"""Property that places the operands where a schema has optional or listed tensors.

One character an item: `x` a tensor, `_` an absent one, `[` and `]` around a list. Absent means that every
tensor parameter without a property of its name takes one operand.
"""


class TorchEffects(MemoryEffect):
    """Memory effects of torch's operators, for upstream passes such as `cse` and `dce`.

    They follow from the work of an op, which a dialect does not know: as in MLIR, an external model is
    attached. Without it effects are unknown, and nothing is removed.
    """

    model: ClassVar[Callable[["TorchOp"], Set[EffectInstance] | None] | None] = None

    @classmethod
    def get_effects(cls, op: Operation) -> Set[EffectInstance] | None:
        """Return the effects of an op, None where they are unknown."""
        return cls.model(op) if cls.model and isinstance(op, TorchOp) else None


class TorchOp(Operation):
    """One ATen overload.

        %1 = aten.addmm(%bias, %x, %w, beta = 1.0) : tensor<4x8xf32>

    Operand types are those of the values. Arguments left out have torch's defaults. A result that the
    kernel leaves undefined has type `none`. Made by capture, read by every pass, run by the runtime.
    """

    name: ClassVar[str]
    traits = OpTraits(lambda: (TorchEffects(),))

    @property
    def schema(self) -> Schema:
        """Torch's schema of this operator."""
        schema = schema_of(self.name)
        assert schema is not None, self.name
        return schema

    @classmethod
    def build_call(
        cls, schema: Schema, arguments: dict[str, Argument], result_types: Sequence[Attribute]
    ) -> Self:
        """An op from arguments by name; those equal to None where None is the default are left out.

        Raises:
            TypeError: an argument is no tensor value and no literal.
        """
        operands, layout = list[SSAValue](), ""
        properties = dict[str, Attribute]()
        for parameter in schema.parameters:
            value = arguments.get(parameter.name)
            if parameter.name not in arguments:
                layout += "_" if parameter.is_tensor else ""
            elif parameter.is_tensor and isinstance(value, SSAValue):
                operands.append(value)
                layout += "x"
            elif parameter.is_tensor and isinstance(value, list):
                items = cast("list[SSAValue | None]", value)
                operands.extend(item for item in items if item is not None)
                layout += "[" + "".join("_" if item is None else "x" for item in items) + "]"
            elif parameter.is_tensor and value is None:
                layout += "_"
            else:
                properties[parameter.name] = to_attribute(cast(Literal, value))
        if layout.strip("x"):
            properties[LAYOUT] = StringAttr(layout)
        return cls.create(operands=operands, result_types=result_types, properties=properties)

    def arguments(self) -> dict[str, Argument]:
        """The arguments that are present, by name in schema order: values, lists of values, literals."""
        operands = iter(self.operands)
        layout = self.properties.get(LAYOUT)
        items = iter(layout.data) if isinstance(layout, StringAttr) else None
        found = dict[str, Argument]()
        for parameter in self.schema.parameters:
            attribute = self.properties.get(parameter.name)
            if attribute is not None:
                found[parameter.name] = from_attribute(attribute)
            elif parameter.is_tensor:
                value = next(operands, None) if items is None else _take(items, operands)
                if value is not None:
                    found[parameter.name] = value
        return found

    def verify_(self) -> None:
        """Checks operand and result counts against the schema."""
        schema = self.schema
        names = {p.name for p in schema.parameters} | {LAYOUT, "schema"}
        if unknown := self.properties.keys() - names:
            raise VerifyException(f"{self.name} has no argument {', '.join(sorted(unknown))}")
        layout = self.properties.get(LAYOUT)
        if isinstance(layout, StringAttr):
            expected = layout.data.count("x")
        else:
            expected = sum(p.is_tensor and p.name not in self.properties for p in schema.parameters)
        if len(self.operands) != expected:
            raise VerifyException(f"{self.name} takes {expected} operands, {len(self.operands)} are given")
        given = self.arguments().keys()
        for parameter in schema.parameters:
            is_needed = parameter.default is None and not parameter.kind.endswith("?")
            if is_needed and parameter.name not in (*given, *_MAY_BE_UNDEFINED):
                raise VerifyException(f"{self.name} needs its argument {parameter.name}")
        for value in (*self.operands, *self.results):
            if not isinstance(value.type, TensorType | NoneType):
                raise VerifyException(f"{self.name} works on tensors, not on {value.type}")
        listed = any(p.kind.endswith("]") for p in schema.returns)
        if not listed and len(self.results) != len(schema.returns):
            raise VerifyException(
                f"{self.name} has {len(schema.returns)} results, {len(self.results)} are given"
            )

    def print(self, printer: Printer) -> None:
        """Prints the call syntax of the class docstring."""
        printer.print_string("(")
        schema = self.schema
        separator, keyword = "", False
        arguments = self.arguments()
        for parameter in schema.parameters:
            if parameter.name not in arguments:
                keyword = True
                continue
            printer.print_string(separator)
            separator = ", "
            value = arguments[parameter.name]
            tensor = isinstance(value, SSAValue) or (parameter.is_tensor and isinstance(value, list))
            if not tensor or keyword:
                printer.print_string(f"{parameter.name} = ")
                keyword = True
            _print_argument(printer, value, tensor)
        printer.print_string(")")
        printer.print_op_attributes(self.attributes)
        if self.results:
            printer.print_string(" : ")
            printer.print_list(self.results, lambda result: printer.print_attribute(result.type))

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        """Reads the call syntax of the class docstring."""
        schema = cls.parse_schema(parser)
        arguments, attributes, types = _parse_call(parser, schema)
        op = cls.build_call(schema, arguments, types)
        op.attributes.update(attributes)
        return op

    @classmethod
    def parse_schema(cls, parser: Parser) -> Schema:
        """The schema by which the arguments that follow are read."""
        schema = schema_of(cls.name)
        assert schema is not None, cls.name
        return schema


class ExternOp(TorchOp):
    """A torch operator outside of ATen; it carries its schema.

    %1 = torch.op "mylib::scale(Tensor x, float by) -> Tensor"(%x, by = 2.0) : tensor<4xf32>
    """

    name = "torch.op"

    @property
    def schema(self) -> Schema:
        """The schema in the property `schema`."""
        text = self.properties["schema"]
        assert isinstance(text, StringAttr)
        return parse_schema(text.data)

    @classmethod
    def build_extern(
        cls, schema: str, arguments: dict[str, Argument], result_types: Sequence[Attribute]
    ) -> Self:
        """An op of the given schema text; see `build_call`."""
        op = cls.build_call(parse_schema(schema), arguments, result_types)
        op.properties["schema"] = StringAttr(schema)
        return op

    def verify_(self) -> None:
        """Checks that the schema is there and readable, then as every operator."""
        text = self.properties.get("schema")
        if not isinstance(text, StringAttr):
            raise VerifyException("torch.op needs a string property 'schema'")
        try:
            parse_schema(text.data)
        except (UnsupportedSchema, ValueError) as error:
            raise VerifyException(f"torch.op: cannot read the schema {text.data!r}: {error}") from error
        super().verify_()

    def print(self, printer: Printer) -> None:
        """Prints the schema, then the call."""
        text = self.properties["schema"]
        assert isinstance(text, StringAttr)
        printer.print_string(" ")
        printer.print_string_literal(text.data)
        super().print(printer)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        """Reads the schema, then the call."""
        start = parser.pos
        text = parser.parse_str_literal()
        try:
            schema = parse_schema(text)
        except ValueError as error:
            parser.raise_error(f"not a torch schema: {error}", start)
        arguments, attributes, types = _parse_call(parser, schema)
        op = cls.build_extern(text, arguments, types)
        op.attributes.update(attributes)
        return op


def operator_name(op: Operation) -> str:
    """The operator's own name, `aten.mm`, also behind `torch.op`; of any other op its name in the IR."""
    return op.schema.name if isinstance(op, ExternOp) else op.name


def _take(items: Iterator[str], operands: Iterator[SSAValue]) -> TensorArgument:
    """The next argument by its layout characters."""
    match next(items, "_"):
        case "x":
            return next(operands)
        case "[":
            taken = list[SSAValue | None]()
            for item in iter(lambda: next(items, "]"), "]"):
                taken.append(next(operands) if item == "x" else None)
            return taken
        case _:
            return None


def _print_argument(printer: Printer, value: Argument, tensor: bool) -> None:
    if not tensor:
        printer.print_string(format_literal(cast(Literal, value)))
    elif isinstance(value, SSAValue):
        printer.print_ssa_value(value)
    else:
        items = cast("list[SSAValue | None]", value)
        printer.print_string("[")
        printer.print_list(
            items, lambda v: printer.print_string("none") if v is None else printer.print_ssa_value(v)
        )
        printer.print_string("]")


def _parse_value(parser: Parser) -> SSAValue | None:
    """An SSA value that is already defined, or None where there is no `%`."""
    operand = parser.parse_optional_unresolved_operand()
    if operand is None:
        return None
    values = parser.ssa_values.get(operand.operand_name)
    if values is None or operand.index >= len(values):
        parser.raise_error(f"%{operand.operand_name} is used before it is defined", operand.span)
    return values[operand.index]


def _parse_argument(parser: Parser, parameter: Parameter) -> Argument:
    if not parameter.is_tensor:
        return parse_literal(parser)
    if (value := _parse_value(parser)) is not None:
        return value
    if parameter.kind.startswith(("Tensor[]", "Tensor?[]")):

        def item() -> SSAValue | None:
            value = _parse_value(parser)
            if value is None:
                parser.parse_keyword("none")
            return value

        return parser.parse_comma_separated_list(parser.Delimiter.SQUARE, item)
    return parse_literal(parser)


def _parse_arguments(parser: Parser, schema: Schema) -> dict[str, Argument]:
    arguments = dict[str, Argument]()
    by_name = {p.name: p for p in schema.parameters}
    positional = iter(schema.parameters)

    def argument() -> None:
        start = parser.pos
        name = parser.parse_optional_identifier()
        if name is not None and parser.parse_optional_punctuation("="):
            parameter = by_name.get(name)
        else:
            parameter = next(positional, None)
        if parameter is None:
            parser.raise_error(f"{schema.name} has no such argument", start)
        arguments[parameter.name] = _parse_argument(parser, parameter)

    parser.parse_comma_separated_list(parser.Delimiter.PAREN, argument)
    return arguments


def _parse_call(
    parser: Parser, schema: Schema
) -> tuple[dict[str, Argument], dict[str, Attribute], Sequence[Attribute]]:
    """The arguments, the attributes and the types of the results."""
    arguments = _parse_arguments(parser, schema)
    attributes = parser.parse_optional_attr_dict()
    types: Sequence[Attribute] = ()
    if parser.parse_optional_punctuation(":"):
        types = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_type)
    return arguments, attributes, types
