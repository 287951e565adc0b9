"""Values of repeated layers: maps each value to its layer index and its counterpart in other layers."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, cast

from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import OpResult, SSAValue

from steelyard.compiler.dialects.program import PATH, ROLE, argument_texts


class LayersDiffer(Exception):
    """Layers that look equal compute differently; the model has to be captured as a whole."""


class Origin(NamedTuple):
    """The layer of a value and its slot there; counterparts in other layers have the same slot.

    A slot is the index of a chain of calls and of a result, or the role and path of an argument.
    """

    slot: tuple[int | str, Hashable]
    layer: int


class LayerValues:
    """The arguments of the layers of a stack, and the results of their calls.

    Args:
        entry: The program.
        path: Path of the stack.
        captured: Indices of the layers that have calls.
        calls: The calls of each chain (the forward, then the backward), in the order of `captured`.

    Attributes:
        captured: Indices of the layers that have calls from the capture.
        chains: The calls of each chain by layer index; those of instantiated layers are added here.
    """

    def __init__(
        self, entry: FuncOp, path: str, captured: Sequence[int], calls: Sequence[Sequence[CallOp]]
    ) -> None:
        self.captured = captured
        self.chains = [dict(zip(captured, chain, strict=True)) for chain in calls]
        self._path = path
        self._places = {call: (n, k) for n, chain in enumerate(self.chains) for k, call in chain.items()}
        self._arguments: dict[tuple[str, str], SSAValue] = {}
        self._origins: dict[SSAValue, Origin] = {}
        roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
        for value, role, text in zip(entry.body.block.args, roles, paths, strict=True):
            self._arguments[role, text] = value
            if (layer := layer_index(text, path)) is not None:
                self._origins[value] = Origin((role, renumber(text, path, 0)), layer)

    def origin(self, value: SSAValue | None) -> Origin | None:
        """The origin of a value of a captured layer, None for any other."""
        if isinstance(value, OpResult) and value.op in self._places:
            chain, layer = self._places[cast(CallOp, value.op)]
            return Origin((chain, value.index), layer)
        origin = self._origins.get(value) if value is not None else None
        return origin if origin is not None and origin.layer in self.captured else None

    def value(self, slot: tuple[int | str, Hashable], layer: int) -> SSAValue:
        """The value in a slot of a captured or instantiated layer.

        Raises:
            LayersDiffer: The layer has no such argument.
        """
        chain, key = slot
        if isinstance(chain, int):
            return self.chains[chain][layer].results[cast(int, key)]
        value = self._arguments.get((chain, renumber(cast(str, key), self._path, layer)))
        if value is None:
            raise LayersDiffer
        return value

    def of_layer(self, layer: int) -> Iterator[SSAValue]:
        """The arguments of a layer and the results of its calls."""
        yield from (value for value, origin in self._origins.items() if origin.layer == layer)
        for chain in self.chains:
            if layer in chain:
                yield from chain[layer].results


def layer_index(text: str, path: str) -> int | None:
    """The index of the layer of the stack at `path` that a path leads into, None if it leads elsewhere."""
    prefix = f"{path}." if path else ""
    number = text[len(prefix) :].partition(".")[0]
    return int(number) if text.startswith(prefix) and number.isdigit() else None


def renumber(text: str, path: str, layer: int) -> str:
    """The counterpart in another layer of a path into a layer of the stack at `path`."""
    prefix = f"{path}." if path else ""
    _, dot, inner = text[len(prefix) :].partition(".")
    return f"{prefix}{layer}{dot}{inner}"
