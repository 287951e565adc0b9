"""The signature of an op: its call with the types and layouts of its operands, the key of what it costs."""

from xdsl.ir import OpResult, SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, tensor_type
from steelyard.compiler.dialects.literal import Literal, format_literal
from steelyard.compiler.dialects.torch_op import Argument, TorchOp, operator_name


def op_signature(op: TorchOp, reader: OpInfoCache) -> str:
    """Return what two ops share if they do the same to operands of the same types and layouts.

    aten.addmm(f32[2304], f32[128x768], t(f32[2304x768]), beta=1)

    Args:
        op: The op; the views that its operands come from tell how they lie in memory.
        reader: Knows which ops are views.

    Raises:
        IRError: A type cannot be read.
    """
    arguments = op.arguments()
    shown = [
        _argument(parameter.name, arguments[parameter.name], reader)
        for parameter in op.schema.parameters
        if parameter.name in arguments
    ]
    return f"{operator_name(op)}({', '.join(shown)})"


def view_chain(value: SSAValue, reader: OpInfoCache) -> tuple[OpResult, ...]:
    """Return the views that a value comes from, the first to be taken first.

    Views that leave a dense tensor dense are left out at the start; what a function is given, and what a
    kernel writes, is taken as dense.

    Args:
        value: A tensor.
        reader: Knows which ops are views.

    Raises:
        IRError: A type cannot be read.
    """
    chain: list[OpResult] = []
    while isinstance(value, OpResult) and isinstance(value.op, TorchOp) and value.op.operands:
        work = reader.read(value.op).work
        if work is None or not work.is_view:
            break
        chain.append(value)
        value = value.op.operands[0]
    while chain and _keeps_order(chain[-1], reader):
        chain.pop()
    return tuple(reversed(chain))


def _argument(name: str, value: Argument, reader: OpInfoCache) -> str:
    if isinstance(value, SSAValue):
        return _tensor(value, reader)
    if isinstance(value, list) and any(isinstance(each, SSAValue) for each in value):
        items = [_tensor(each, reader) if isinstance(each, SSAValue) else "none" for each in value]
        return f"[{', '.join(items)}]"
    return f"{name}={format_literal(_literal(value))}"


def _tensor(value: SSAValue, reader: OpInfoCache) -> str:
    chain = view_chain(value, reader)
    found = tensor_type(chain[0].op.operands[0].type if chain else value.type)
    text = f"{found.dtype}[{'x'.join(map(str, found.shape))}]" if found else "none"
    for view in chain:
        text = _view(view, text)
    return text


def _view(view: OpResult, source: str) -> str:
    """The call of a view; which of several results of the same type it is does not change how it lies."""
    assert isinstance(view.op, TorchOp)
    given = [source]
    for value in view.op.arguments().values():
        if not isinstance(value, SSAValue):
            given.append(format_literal(_literal(value)))
    packet = operator_name(view.op).split(".")[1]
    return f"{packet}({', '.join(given)})"


def _keeps_order(view: OpResult, reader: OpInfoCache) -> bool:
    """Whether a view is of all elements in their order, so that it is dense if its source is."""
    assert isinstance(view.op, TorchOp)
    work = reader.read(view.op).work
    return work is not None and work.keeps_order


def _literal(value: Argument) -> Literal:
    assert not isinstance(value, SSAValue)
    return value  # pyright: ignore[reportReturnType] - a list without tensors holds literals
