"""Placements of a value on the ranks of a mesh axis, in DTensor's terms: Shard, Replicate and Partial."""

from dataclasses import dataclass

from steelyard.compiler.semantics.iteration_space import Combiner


class ShardingError(Exception):
    """An op cannot be done on what the ranks hold; the text says why."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Each rank holds blocks of the value along a tensor dim.

    Attributes:
        dim: The tensor dim.
        parts: The number of equal parts, one behind the other, of each of which a rank has its block, in the
            order of ranks. A weight that makes queries, keys and values at once has three.
    """

    dim: int
    parts: int = 1

    def block(self, shape: tuple[int, ...], ranks: int) -> tuple[int, ...]:
        """Return the shape of what one rank holds of a tensor of this shape.

        Raises:
            ShardingError: The parts have no `ranks` equal blocks.
        """
        size, blocks = shape[self.dim], ranks * self.parts
        if size % blocks:
            each = f"each of {self.parts} parts of " if self.parts > 1 else ""
            raise ShardingError(
                f"{each}dim {self.dim} of {list(shape)} has {size // self.parts} elements for {ranks} ranks"
            )
        return (*shape[: self.dim], size // ranks, *shape[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class Replicate:
    """Each rank holds all of the value."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Each rank holds a partial result; `combine` over the ranks makes the value.

    Attributes:
        combine: One of `COLLECTIVE_COMBINERS`.
    """

    combine: Combiner = "sum"


Placement = Shard | Replicate | Partial

REPLICATE = Replicate()
