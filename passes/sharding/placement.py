"""How a value lies on the ranks of a mesh axis."""

from dataclasses import dataclass

from steelyard.hw.base.errors import IRError


@dataclass(frozen=True, slots=True)
class Placement:
    """What each rank holds of a value: all of it, blocks of it along `dim`, or a term of its sum over ranks.

    Attributes:
        dim: The tensor dim that is cut, -1 if none is.
        parts: Of how many equal parts, one behind the other, each rank has its block, in the order of ranks.
            A weight that makes queries, keys and values at once has three.
        partial: Whether the value is the sum of what the ranks hold.
    """

    dim: int = -1
    parts: int = 1
    partial: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether ranks hold different blocks."""
        return self.dim >= 0

    def block(self, shape: tuple[int, ...], ranks: int) -> tuple[int, ...]:
        """The shape of what one rank holds of a tensor of this shape.

        Raises:
            CannotPlace: The parts have no `ranks` equal blocks.
        """
        if not self.is_cut:
            return shape
        size, blocks = shape[self.dim], ranks * self.parts
        if size % blocks:
            each = f"each of {self.parts} parts of " if self.parts > 1 else ""
            raise ShardingError(
                f"{each}dim {self.dim} of {list(shape)} has {size // self.parts} elements for {ranks} ranks"
            )
        return (*shape[: self.dim], size // ranks, *shape[self.dim + 1 :])


WHOLE = Placement()
PARTIAL = Placement(partial=True)


class ShardingError(Exception):
    """The op cannot be done on blocks; the text says why."""


def refusal(what: str, where: str | None, error: ShardingError, fix: str = "run it on one rank") -> IRError:
    """What a user is told of an op that cannot be placed."""
    return IRError(what=what, where=where, why=str(error), fix=fix)
