"""A call of an op as the rules of work see it: name, types of tensors, other arguments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from steelyard.compiler.semantics.tensor_type import TensorType

Operand = TensorType | tuple[TensorType | None, ...] | None


class Value(NamedTuple):
    """A tensor of a call: "mat1", "tensors[0]" or "result0", and its type."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class OpCall:
    """One op applied to tensors of known types.

    Attributes:
        name: The op as in torch's schema, without ".default": "aten.mm", "aten.add.Tensor".
        operands: The tensor arguments by name in the order of the schema; a list of tensors is a tuple, an
            argument not given is None.
        properties: The other arguments by name, with defaults filled in.
        results: The types of the results; a list of tensors is spread out.
        writes: The arguments that the schema says are written, as `(a!)` does.
    """

    name: str
    operands: tuple[tuple[str, Operand], ...]
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    results: tuple[TensorType, ...] = ()
    writes: frozenset[str] = frozenset()

    def get(self, argument: str) -> Value | None:
        """Return the tensor given for `argument`, None if there is none."""
        for name, operand in self.operands:
            if name == argument and isinstance(operand, TensorType):
                return Value(name, operand)
        return None

    def arg(self, argument: str) -> Value:
        """Return the tensor given for `argument`.

        Raises:
            KeyError: There is no such tensor.
        """
        value = self.get(argument)
        if value is None:
            raise KeyError(f"{self.name} is called without a tensor {argument!r}")
        return value

    def list(self, argument: str) -> tuple[Value, ...]:
        """Return the tensors of the list `argument`, none where it is not given."""
        operand = dict(self.operands).get(argument)
        if not isinstance(operand, tuple):
            return ()
        return tuple(Value(f"{argument}[{i}]", each) for i, each in enumerate(operand) if each is not None)

    def result(self, index: int = 0) -> Value:
        """Return result `index`."""
        return Value(f"result{index}", self.results[index])

    @property
    def in_place(self) -> bool:
        """Whether the op writes its first argument."""
        return bool(self.operands) and self.operands[0][0] in self.writes

    @property
    def tensors(self) -> Iterator[Value]:
        """Every tensor that the call is given, in the order of the schema."""
        for name, operand in self.operands:
            if isinstance(operand, TensorType):
                yield Value(name, operand)
            elif operand is not None:
                yield from self.list(name)

    def masked_outputs(self) -> tuple[Value | None, ...]:
        """The results in the order of `output_mask`, None for one that is not asked for."""
        mask = self.properties["output_mask"]
        present = iter(range(len(self.results)))
        compact = len(self.results) < len(mask)
        return tuple(
            self.result(next(present) if compact else i) if wanted else None for i, wanted in enumerate(mask)
        )

    @property
    def outputs(self) -> tuple[Value, ...]:
        """Every result."""
        return tuple(map(self.result, range(len(self.results))))
