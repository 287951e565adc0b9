# pyright: standard
"""A captured FX graph as a program in the IR."""

import operator
from dataclasses import asdict
from functools import cache
from typing import Any, cast

import torch
from torch.fx.node import Node
from xdsl.dialects.builtin import (
    ArrayAttr,
    ComplexType,
    DictionaryAttr,
    IntegerType,
    ModuleOp,
    NoneType,
    Signedness,
    StringAttr,
    TensorType,
    UnitAttr,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from steelyard.compiler.dialects.literal import to_attribute
from steelyard.compiler.dialects.program import (
    ASSUMPTIONS,
    CHANNELS_LAST,
    OP_PATH,
    PATH,
    PHASE,
    RESULTS,
    ROLE,
    SOURCE,
    DropOp,
)
from steelyard.compiler.dialects.schema import UnsupportedSchema, schema_of
from steelyard.compiler.dialects.torch_dialects import op_class
from steelyard.compiler.dialects.torch_op import Argument, ExternOp, TorchOp
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.program import CapturedProgram, TensorSpec, drop
from steelyard.hw.base.errors import CaptureError

ELEMENT_TYPES: dict[torch.dtype, Attribute] = {
    torch.float64: f64,
    torch.float32: f32,
    torch.float16: f16,
    torch.bfloat16: bf16,
    torch.int64: i64,
    torch.int32: i32,
    torch.int16: i16,
    torch.int8: i8,
    torch.uint8: IntegerType(8, Signedness.UNSIGNED),
    torch.bool: i1,
    torch.complex64: ComplexType(f32),
    torch.complex128: ComplexType(f64),
}


def import_program(program: CapturedProgram, options: CaptureOptions | None = None) -> ModuleOp:
    """The module of a captured program: one function named after it, weights not included.

    The options, where given, stand on it as `program.options`, so that the model can be built again.

    Raises:
        CaptureError: an op works on something that the IR cannot express (a sparse tensor, a generator).
    """
    types = [tensor_type(argument.spec) for argument in program.arguments]
    block = Block(arg_types=types)
    values = dict[Node, tuple[SSAValue, ...]]()
    arguments = iter(block.args)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            value = next(arguments)
            value.name_hint = node.name
            values[node] = (value,)
        elif node.op == "call_function":
            _import_node(node, values, block)
        elif node.op == "output":
            returned = [values[item][0] for item in node.args[0]]
            block.add_op(ReturnOp(*returned))
    last = block.last_op
    assert isinstance(last, ReturnOp)
    function = FuncOp(program.name, (types, [value.type for value in last.arguments]), Region(block))
    function.arg_attrs = ArrayAttr(
        DictionaryAttr({ROLE: StringAttr(argument.role), PATH: StringAttr(argument.path)})
        for argument in program.arguments
    )
    function.attributes[RESULTS] = ArrayAttr(map(StringAttr, program.results))
    module = ModuleOp([function])
    module.attributes["program.model"] = StringAttr(program.model)
    if program.assumptions:
        module.attributes[ASSUMPTIONS] = ArrayAttr(map(StringAttr, program.assumptions))
    if options is not None:
        chosen = {name: to_attribute(value) for name, value in asdict(options).items()}
        module.attributes["program.options"] = DictionaryAttr(chosen)
    return module


@cache
def tensor_type(spec: TensorSpec) -> Attribute:
    """The IR type of a tensor: its shape and element type, strides left out.

    Raises:
        CaptureError: the IR has no such element type.
    """
    element = ELEMENT_TYPES.get(spec.dtype)
    if element is None:
        raise CaptureError(
            what=f"tensors of {spec.dtype} cannot be captured",
            fix=f"use one of {', '.join(map(str, ELEMENT_TYPES))}",
        )
    return TensorType(element, spec.shape)


def _import_node(node: Node, values: dict[Node, tuple[SSAValue, ...]], block: Block) -> None:
    if node.target is operator.getitem:
        source, index = cast("tuple[Node, int]", node.args)
        values[node] = (values[source][index],)
        return
    if node.target is drop:
        for value in values[cast(Node, node.args[0])]:
            block.add_op(DropOp(value))
        return
    op = _build(node, values)
    for name, key in ((PHASE, "phase"), (OP_PATH, "path"), (SOURCE, "source")):
        if text := node.meta.get(key):
            op.attributes[name] = _string(text)
    if "convolution" in op.name and _has_channels_last(node):
        op.attributes[CHANNELS_LAST] = UnitAttr()
    for result in op.results:
        result.name_hint = op.name.split(".")[1].strip("_")
    values[node] = tuple(op.results)
    block.add_op(op)


def _has_channels_last(convolution: Node) -> bool:
    """Whether its input or weight has its channels innermost; types in the IR have no strides."""
    target = cast(torch._ops.OpOverload, convolution.target)
    named = dict(zip((each.name for each in target._schema.arguments), convolution.args, strict=False))
    given = (named.get(name) for name in ("input", "weight"))
    return any(isinstance(each, Node) and _lies_channels_last(each.meta["val"]) for each in given)


def _lies_channels_last(spec: TensorSpec) -> bool:
    if len(spec.shape) != 4:
        return False
    _, channels, height, width = spec.shape
    image = height * width * channels, 1, width * channels, channels
    return channels > 1 and height * width > 1 and spec.stride == image


@cache
def _string(text: str) -> StringAttr:
    return StringAttr(text)


def _build(node: Node, values: dict[Node, tuple[SSAValue, ...]]) -> TorchOp:
    target = cast(torch._ops.OpOverload, node.target)
    arguments = dict[str, Argument]()
    for parameter, given in zip(target._schema.arguments, node.args, strict=False):
        arguments[parameter.name] = _convert(given, values)
    for name, given in node.kwargs.items():
        arguments[name] = _convert(given, values)
    for parameter in target._schema.arguments:
        if parameter.has_default_value() and parameter.name in arguments:
            given = arguments[parameter.name]
            if not isinstance(given, SSAValue) and given == _convert(parameter.default_value, values):
                del arguments[parameter.name]
    value = node.meta["val"]
    specs = () if value is None else value if isinstance(value, tuple) else (value,)
    types = [NoneType() if spec is None else tensor_type(spec) for spec in specs]
    namespace, name = target._schema.name.split("::")
    overload = target._schema.overload_name
    kind = op_class(f"{namespace}.{name}" + (f".{overload}" if overload else ""))
    try:
        if kind is None:
            return ExternOp.build_extern(str(target._schema), arguments, types)
        schema = schema_of(kind.name)
        assert schema is not None
        return kind.build_call(schema, arguments, types)
    except (TypeError, UnsupportedSchema) as error:
        raise CaptureError(
            what=f"{target} cannot be expressed in the IR", where=node.meta.get("source"), why=str(error)
        ) from error


def _convert(given: Any, values: dict[Node, tuple[SSAValue, ...]]) -> Argument:
    """An FX argument as an IR argument; types, devices, layouts and formats become torch's names of them."""
    if isinstance(given, Node):
        return values[given][0]
    if isinstance(given, list | tuple):
        return cast("Argument", [_convert(item, values) for item in cast("list[Any]", given)])
    if isinstance(given, torch.dtype | torch.layout | torch.memory_format):
        return str(given).removeprefix("torch.")
    if isinstance(given, torch.device):
        return str(given)
    return given
