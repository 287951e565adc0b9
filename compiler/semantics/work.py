"""The work of an op: iteration spaces, aliases, effects; FLOPs, bytes, sharding and fusion derive from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from steelyard.compiler.semantics.iteration_space import Flops, IndexingMap, IterationSpace
from steelyard.hw.base.kernel_cost import KernelCost
from steelyard.hw.base.kernel_work import WorkKind


class Summand(NamedTuple):
    """A product of operands, one of those that an op adds up.

    Attributes:
        factors: The operands; the product is linear in each.
        scale: The argument that multiplies it ("beta"), "" where there is none.
    """

    factors: tuple[str, ...]
    scale: str = ""


class ExtentArgument(NamedTuple):
    """An argument that states extents, as a view's `size` does.

    Attributes:
        name: The argument.
        dims: For each of its items the iteration dims whose extents it is the product of.
    """

    name: str
    dims: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class OpWork:
    """The computation of an op, whatever device it runs on.

    Attributes:
        kind: The kind of kernel that does it; "view" where no kernel runs.
        spaces: The iteration spaces; a dim of the same name is the same dim in all of them. Those of a view
            are the maps between the indices of its source and of its results.
        aliases: Pairs of a result's index and the argument whose storage it shares.
        mutates: The arguments that are written.
        summands: The sum of products that the op is, empty where it is linear in no operand.
        extents: The arguments that state extents.
        is_random: Whether it draws random numbers.
        gradients: The list of tensors that an optimizer takes as gradients.
        collective: The kind of the collective that it is ("all_reduce"), "" where ranks exchange nothing.
    """

    kind: WorkKind
    spaces: tuple[IterationSpace, ...] = ()
    aliases: tuple[tuple[int, str], ...] = ()
    mutates: tuple[str, ...] = ()
    summands: tuple[Summand, ...] = ()
    extents: tuple[ExtentArgument, ...] = ()
    is_random: bool = False
    gradients: str = ""
    collective: str = ""

    @property
    def cost(self) -> KernelCost[int]:
        """FLOPs by unit, bytes requested and bytes written."""
        flops = self.flops
        return KernelCost(
            contraction_flops=flops.contraction,
            pointwise_flops=flops.pointwise,
            transcendental_flops=flops.transcendental,
            bytes_read=self.bytes_read,
            bytes_written=self.bytes_written,
        )

    @property
    def flops(self) -> Flops:
        """The operations of all spaces."""
        return sum((space.flops for space in self.spaces), Flops())

    @property
    def bytes_read(self) -> int:
        """Bytes requested: a tensor that two spaces read counts twice; a view reads nothing."""
        if self.kind == "view":
            return 0
        return sum(space.touched_bytes(access) for space in self.spaces for access in space.reads)

    @property
    def bytes_written(self) -> int:
        """Bytes written, each element once."""
        return sum(self._written().values())

    @property
    def bytes_unique(self) -> int:
        """Bytes that move at least: each tensor read counts once, and each tensor written."""
        if self.kind == "view":
            return 0
        read: dict[str, int] = {}
        for space in self.spaces:
            for access in space.reads:
                read[access.value] = max(read.get(access.value, 0), space.touched_bytes(access))
        return sum(read.values()) + self.bytes_written

    @property
    def is_view(self) -> bool:
        """Whether nothing is computed and a result is another look at an argument."""
        return self.kind == "view" and bool(self.aliases)

    @property
    def keeps_order(self) -> bool:
        """Whether it is a view of all elements in their order, in another shape at most."""
        if not self.is_view or len(self.spaces) != 1:
            return False
        (space,) = self.spaces
        source, result = space.reads[0], space.writes[0]
        return source.type.numel == result.type.numel and source.row_major_dims == result.row_major_dims

    @property
    def is_constant(self) -> bool:
        """Whether it makes tensors of equal elements, of which any block is as good as another."""
        return (
            bool(self.spaces)
            and not self.is_random
            and not any(space.reads or space.positional for space in self.spaces)
        )

    @property
    def dims(self) -> dict[str, int]:
        """Every iteration dim and its extent."""
        return {dim: extent for space in self.spaces for dim, extent in space.dims.items()}

    @property
    def compute_dtype(self) -> str | None:
        """The element type that arithmetic is done in: of the first floating tensor of the largest space."""
        if not self.spaces or self.kind == "view":
            return None
        space = max(self.spaces, key=lambda each: each.flops.total)
        dtypes = [access.type.dtype for access in (*space.reads, *space.writes)]
        return next(
            (dtype for dtype in dtypes if "f" in dtype or dtype.startswith("c")), (dtypes or [None])[0]
        )

    def renamed(self, names: Mapping[str, str]) -> "OpWork":
        """Return the same work over arguments of other names."""

        def new(value: str) -> str:
            base, bracket, index = value.partition("[")
            return names.get(base, base) + bracket + index

        def spell(access: IndexingMap) -> IndexingMap:
            indices = tuple(index._replace(by=new(index.by)) for index in access.indices)
            return IndexingMap(new(access.value), access.type, indices)

        spaces = tuple(
            replace(
                space,
                reads=tuple(map(spell, space.reads)),
                writes=tuple(map(spell, space.writes)),
                shapes=tuple(map(spell, space.shapes)),
            )
            for space in self.spaces
        )
        return replace(
            self,
            spaces=spaces,
            aliases=tuple((result, new(value)) for result, value in self.aliases),
            mutates=tuple(map(new, self.mutates)),
            summands=tuple(Summand(tuple(map(new, each.factors)), new(each.scale)) for each in self.summands),
            extents=tuple(each._replace(name=new(each.name)) for each in self.extents),
            gradients=new(self.gradients),
        )

    def is_linear(self, operands: Collection[str]) -> bool:
        """Return whether the op, given terms of a sum for these operands, makes the terms of its result."""
        return bool(self.summands) and all(
            sum(factor in operands for factor in summand.factors) == 1 for summand in self.summands
        )

    def _written(self) -> dict[str, int]:
        """Bytes of each tensor written; pieces at different offsets are different elements."""
        if self.kind == "view":
            return {}
        pieces: dict[tuple[str, tuple[int, ...]], int] = {}
        for space in self.spaces:
            for access in space.writes:
                key = access.value, tuple([index.offset for index in access.indices])
                pieces[key] = max(pieces.get(key, 0), space.touched_bytes(access))
        written: dict[str, int] = {}
        for (value, _), touched_bytes in pieces.items():
            written[value] = written.get(value, 0) + touched_bytes
        return written
