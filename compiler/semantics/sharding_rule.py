"""The sharding rule of an op: the factors of its iteration spaces, and the placements that they imply.

The rule follows from the indexing maps, as the factor mappings of Shardy's `sdy.op_sharding_rule` do
(https://openxla.org/shardy/sharding_representation): a factor is an iteration dim; a tensor dim is sharded by
the outermost factor that indexes it; a reduction factor leaves partial results.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from steelyard.compiler.semantics.iteration_space import (
    COLLECTIVE_COMBINERS,
    Index,
    IndexingMap,
    IterationSpace,
)
from steelyard.compiler.semantics.placement import (
    REPLICATE,
    Partial,
    Placement,
    Replicate,
    Shard,
    ShardingError,
)
from steelyard.compiler.semantics.work import OpWork, Summand

_INFERRED, _TO_THE_END = -1, 2**31
"""Values of an extent that say nothing of its size: "as many as remain", and the end of any slice."""


class Factor(NamedTuple):
    """An iteration dim of which each rank has a block, in each of so many equal parts."""

    dim: str
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Sharding:
    """An op whose iteration spaces are shared out among ranks.

    Attributes:
        work: The whole work.
        factors: The factors that are sharded.
        placements: Of each tensor that is sharded or partial; the others are replicated.
        spaces: The spaces that are sharded, by index, each with its factor. Ranks repeat the others.
    """

    work: OpWork
    factors: frozenset[Factor]
    placements: Mapping[str, Placement]
    spaces: Mapping[int, Factor]

    def placement(self, value: str) -> Placement:
        """Return the placement of a tensor."""
        return self.placements.get(value, REPLICATE)

    @property
    def divides_mean(self) -> bool:
        """Whether each rank divides by the number of its own points where that of all ranks is meant."""
        return any(
            mean is not None and not mean.weight and factor.dim in mean.over
            for mean, factor in ((self.work.spaces[at].mean, factor) for at, factor in self.spaces.items())
        )

    @property
    def repeated_summands(self) -> tuple[Summand, ...]:
        """The summands that every rank would add to a partial sum, since none of their factors is sharded."""
        if Partial() not in self.placements.values():
            return ()
        return tuple(
            summand
            for summand in self.work.summands
            if all(isinstance(self.placement(factor), Replicate) for factor in summand.factors)
        )

    def local_arguments(self, arguments: Mapping[str, Any], ranks: int) -> dict[str, Any]:
        """Return those of a call's arguments that state extents of sharded dims, for one rank.

        Raises:
            ShardingError: An extent has no `ranks` equal blocks.
        """
        sharded = {factor.dim for factor in self.factors}
        found: dict[str, Any] = {}
        for name, dims in self.work.extents:
            given = arguments.get(name)
            items: list[int] = [given] if isinstance(given, int) else given or []
            local = [
                _local_extent(name, item, ranks) if sharded.intersection(each) else item
                for item, each in zip(items, dims, strict=False)
            ]
            if local != items[: len(local)]:
                found[name] = local[0] if isinstance(given, int) else [*local, *items[len(local) :]]
        return found

    def local_work(self, ranks: int) -> OpWork:
        """Return the work of one rank; of a space that is sharded, that of all ranks together is the whole.

        Raises:
            ShardingError: A factor has no `ranks` equal blocks.
        """
        spaces = [
            self._local_space(space, self.spaces[at], ranks) if at in self.spaces else space
            for at, space in enumerate(self.work.spaces)
        ]
        return replace(self.work, spaces=tuple(spaces))

    def _local_space(self, space: IterationSpace, factor: Factor, ranks: int) -> IterationSpace:
        extent = space.dims[factor.dim]
        if extent % (ranks * factor.parts):
            raise ShardingError(f"{factor.dim} has {extent} points for {ranks} ranks in {factor.parts} parts")
        dims = {**space.dims, factor.dim: extent // ranks}

        def local(access: IndexingMap) -> IndexingMap:
            placement = self.placement(access.value)
            if not isinstance(placement, Shard):
                return access
            shape = placement.block(access.type.shape, ranks)
            indices = list(access.indices)
            index = indices[placement.dim]
            # Strides of the dims outside of the sharded one span so much less, as does an offset.
            inner = index.dims.index(factor.dim)
            terms = [
                (dim, step // ranks if at < inner else step) for at, (dim, step) in enumerate(index.terms)
            ]
            indices[placement.dim] = Index(tuple(terms), index.offset // ranks)
            return IndexingMap(access.value, replace(access.type, shape=shape), tuple(indices))

        reads, writes, shapes = (
            tuple(map(local, each)) for each in (space.reads, space.writes, space.shapes)
        )
        return replace(space, dims=dims, reads=reads, writes=writes, shapes=shapes)


class ShardingRule:
    """The factors of an op's work; maps are found by value and spaces by dim, an optimizer has thousands."""

    def __init__(self, work: OpWork) -> None:
        self._work = work
        self._maps: defaultdict[str, list[tuple[IterationSpace, IndexingMap]]] = defaultdict(list)
        self._spaces: defaultdict[str, list[int]] = defaultdict(list)
        self._writers: defaultdict[str, list[int]] = defaultdict(list)
        for at, space in enumerate(work.spaces):
            for dim in space.dims:
                self._spaces[dim].append(at)
            for access in space.maps:
                self._maps[access.value].append((space, access))
            for access in space.writes:
                self._writers[access.value].append(at)
        self._component = _components(work)
        self._members: defaultdict[int, list[int]] = defaultdict(list)
        for at, component in enumerate(self._component):
            self._members[component].append(at)
        # Written from what is on chip, so that nothing says by which of the spaces.
        self._derived = [] if work.is_constant else [s for s in work.spaces if s.writes and not s.reads]

    def factors(self, value: str, placement: Shard) -> frozenset[Factor]:
        """Return the factors that are sharded since a tensor is.

        Raises:
            ShardingError: No factor makes such blocks, or the op depends on more than blocks.
        """
        self._require_blocks()
        return frozenset(_factor_of(space, access, placement) for space, access in self._maps.get(value, ()))

    def indexes(self, value: str) -> bool:
        """Return whether the work indexes a tensor at all."""
        return value in self._maps

    def shard(self, factors: Collection[Factor]) -> Sharding:
        """Return the placements of all tensors if factors are sharded.

        Raises:
            ShardingError: The ranks cannot do the work by blocks of these factors.
        """
        self._require_blocks()
        spaces = {at: factor for factor in factors for at in self._spaces[factor.dim]}
        if len(spaces) < sum(len(self._spaces[factor.dim]) for factor in factors):
            raise ShardingError("its operands are cut along different dims")
        placements: dict[str, Placement] = {}
        for at, factor in spaces.items():
            for value, placement in _placements(self._work.spaces[at], factor):
                if placements.setdefault(value, placement) != placement:
                    raise ShardingError(f"{value} would be cut in two ways")
        self._require_known(spaces, placements)
        return Sharding(self._work, frozenset(factors), placements, spaces)

    def _require_blocks(self) -> None:
        if self._work.is_random:
            raise ShardingError(
                "every rank would draw the same random numbers, or other ones than one process"
            )

    def _require_known(self, spaces: Mapping[int, Factor], placements: Mapping[str, Placement]) -> None:
        """Refuse if a value also depends on the blocks through a space that is not sharded."""
        if not spaces:
            return
        work = self._work
        others = {at for value in placements for at in self._writers[value]} - spaces.keys()
        for space in (work.spaces[at] for at in others):
            if space.reads or any(access.is_gathered for access in space.writes):
                raise ShardingError(f"its parts leave {space.writes[0].value} on the ranks in different ways")
        connected = {each for at in spaces for each in self._members[self._component[at]]} - spaces.keys()
        for space in (*(work.spaces[at] for at in connected), *self._derived):
            for access in space.writes:
                if access.value not in placements and access.type.numel:
                    raise ShardingError(f"nothing is known of how {access.value} depends on the blocks")


def shard(work: OpWork, dim: str, parts: int = 1) -> Sharding:
    """Return the sharding of an op along one iteration dim.

    Raises:
        ShardingError: The ranks cannot do the work by blocks of it.
    """
    return ShardingRule(work).shard([Factor(dim, parts)])


def _components(work: OpWork) -> list[int]:
    """Number the sets of spaces that share a dim, or of which one reads the index of another."""
    first: dict[str, int] = {}
    component = list(range(len(work.spaces)))

    def root(at: int) -> int:
        while component[at] != at:
            at = component[at]
        return at

    indexed = [
        {_argument(index.by) for access in space.maps for index in access.indices if index.by}
        for space in work.spaces
    ]
    holders = set[str]().union(*indexed)
    for at, space in enumerate(work.spaces):
        read = {_argument(access.value) for access in space.reads}
        for name in (*space.dims, *indexed[at], *(read & holders)):
            one, other = sorted((root(first.setdefault(name, at)), root(at)))
            component[other] = one
    return [root(at) for at in range(len(component))]


def _argument(value: str) -> str:
    """The argument that a tensor is, or is listed in; no name of a dim."""
    return f"?{value.partition('[')[0]}"


def _placements(space: IterationSpace, factor: Factor) -> Iterator[tuple[str, Placement]]:
    """Yield the placements of the tensors of one space that is sharded."""
    if factor.dim in space.positional:
        raise ShardingError("it depends on where an element lies in the whole tensor")
    reduces = factor.dim in space.reduction
    if reduces and space.combine == "opaque" and not space.flops_per_iteration.total:
        raise ShardingError("elements change their place along the cut dim")
    if reduces and (space.combine not in COLLECTIVE_COMBINERS or not space.writes):
        raise ShardingError("it brings together all that lies along the cut dim, and not by a sum")
    for access in (*space.reads, *space.shapes):
        if placement := _placement_of(space, access, factor):
            yield access.value, placement
    for access in space.writes:
        placement = _placement_of(space, access, factor)
        if placement is None and not reduces:
            raise ShardingError(f"a block of the operands does not make a block of {access.value}")
        if placement and reduces:
            raise ShardingError("it brings together all that lies along the cut dim, and not by a sum")
        yield access.value, placement or Partial(space.combine)


def _factor_of(space: IterationSpace, access: IndexingMap, placement: Shard) -> Factor:
    """Return the factor that is sharded since a tensor is."""
    index, size = access.indices[placement.dim], access.type.shape[placement.dim]
    if index.gathered:
        raise ShardingError(f"the data decide where it reads {access.value} along dim {placement.dim}")
    extent = _extent(space, index)
    parts = placement.parts
    if extent != size or index.offset:
        length = size // parts if size % parts == 0 else 0
        if not length or not space.is_row_major(index) or index.offset % length or extent % length:
            raise ShardingError(_part_of(access, placement.dim, parts, extent))
        parts = extent // length
    elif not space.is_row_major(index):
        raise ShardingError(f"windows slide over dim {placement.dim} of {access.value}, which is cut")
    for dim, _ in index.terms:
        extent = space.dims[dim]
        if extent % parts == 0 and extent > parts:
            return Factor(dim, parts)
        if parts % extent:
            break
        parts //= extent
    raise ShardingError(
        f"no factor makes blocks of dim {placement.dim} of {access.value}: it has {size} elements"
    )


def _placement_of(space: IterationSpace, access: IndexingMap, factor: Factor) -> Shard | None:
    """Return the placement of a tensor since a factor is sharded; None if it is not indexed by the factor."""
    found: Shard | None = None
    for at, index in enumerate(access.indices):
        if factor.dim not in index.dims:
            continue
        extent, size = _extent(space, index), access.type.shape[at]
        parts = factor.parts
        for dim, _ in index.terms[: index.dims.index(factor.dim)]:
            parts *= space.dims[dim]
        length = max(extent // parts, 1)
        is_block = space.is_row_major(index) and not index.offset % length and not size % length
        if found or not is_block:
            raise ShardingError(f"a block of the operands does not make a block of {access.value}")
        found = Shard(at, parts * size // extent)
    return found


def _local_extent(name: str, extent: int, ranks: int) -> int:
    if extent == _INFERRED or extent >= _TO_THE_END:
        return extent
    if extent % ranks:
        raise ShardingError(f"{name} is {extent}, which {ranks} ranks cannot share out equally")
    return extent // ranks


def _extent(space: IterationSpace, index: Index) -> int:
    extent = 1
    for dim, _ in index.terms:
        extent *= space.dims[dim]
    return extent


def _part_of(access: IndexingMap, dim: int, parts: int, extent: int) -> str:
    whole = f"is cut in {parts} parts" if parts > 1 else "is cut"
    return f"it takes a part of dim {dim} of {access.value}, {extent} elements, and the dim {whole}"
