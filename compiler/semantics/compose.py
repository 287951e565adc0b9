"""Composition of two works into that of one kernel, along a tensor that one writes and the other reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from steelyard.compiler.semantics.iteration_space import Index, IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork


class FusionError(Exception):
    """Two ops cannot be one kernel; the text says why."""


def compose(producer: OpWork, consumer: OpWork, value: str, *, kept: bool = False) -> OpWork:
    """Return the work of one kernel that computes `value` where it is read, so that it stays on chip.

    The producer's dims are substituted by what the consumer indexes `value` with: maps compose. A producer of
    a smaller space is computed again at each point of the larger one. A reduction of the producer must be
    complete where it is read, unless the consumer sums along the same dim and can rescale what it has (online
    softmax).

    Args:
        producer: The work that writes `value`.
        consumer: The work that reads it, in which other tensors of the same name are the same tensors.
        value: The tensor.
        kept: Whether others read the tensor too, so that it is also written.

    Raises:
        FusionError: The maps do not compose, or a reduction would not be complete.
    """
    written = [(space, each) for space in producer.spaces for each in space.writes if each.value == value]
    if len(written) != 1:
        raise FusionError(f"{value} is written by {len(written)} iteration spaces")
    spaces: dict[tuple[object, ...], tuple[IterationSpace, ...]] = {}
    for space in consumer.spaces:
        for access in space.reads:
            if access.value == value:
                key = frozenset(space.dims.items()), access.indices
                if key not in spaces:
                    reader = _Reader.of(written[0], (space, access), kept)
                    spaces[key] = tuple(map(reader.substitute, producer.spaces))
    if not spaces:
        raise FusionError(f"nothing reads {value}")
    rest = (
        replace(space, reads=tuple(each for each in space.reads if each.value != value))
        for space in consumer.spaces
    )
    return OpWork(
        max(producer, consumer, key=lambda work: work.flops.total).kind,
        (*(space for each in spaces.values() for space in each), *rest),
        mutates=(*producer.mutates, *consumer.mutates),
        is_random=producer.is_random or consumer.is_random,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """A substitution of the producer's dims by indices of one of the consumer's spaces.

    Attributes:
        value: The tensor that is passed on.
        kept: Whether it is written too.
        indices: By dim of the producer.
        dims: The extents of the consumer's dims.
        repeats: The dims of the consumer at each point of which the producer is computed again.
    """

    value: str
    kept: bool
    indices: Mapping[str, Index]
    dims: Mapping[str, int]
    repeats: tuple[str, ...]

    @classmethod
    def of(
        cls,
        written: tuple[IterationSpace, IndexingMap],
        read: tuple[IterationSpace, IndexingMap],
        kept: bool,
    ) -> "_Reader":
        """Unify the dims of producer and consumer through the tensor.

        Raises:
            FusionError: There is no such substitution, or it is not legal.
        """
        (writer, put), (reader, taken) = written, read
        indices: dict[str, Index] = {}
        for at, (target, source) in enumerate(zip(put.indices, taken.indices, strict=True)):
            if target.gathered or source.gathered:
                raise FusionError(f"the data decide which elements of dim {at} are written or read")
            _unify(writer, target, reader, source, put.type.shape[at], indices)
        used = {dim for index in indices.values() for dim, _ in index.terms}
        repeats = tuple(dim for dim, extent in reader.dims.items() if dim not in used and extent > 1)
        _require_complete(writer, reader, indices, repeats)
        if kept and repeats:
            raise FusionError("others read a result that is smaller than the space")
        return cls(put.value, kept, indices, reader.dims, repeats)

    def substitute(self, space: IterationSpace) -> IterationSpace:
        """Return a space of the producer over the dims of the consumer."""
        names = {dim: self.indices[dim].dims if dim in self.indices else (f"{dim}'",) for dim in space.dims}
        dims = {dim: self.dims[dim] for dim in self.repeats}
        for dim, extent in space.dims.items():
            dims |= {new: self.dims[new] if dim in self.indices else extent for new in names[dim]}
        writes = space.writes if self.kept else tuple(w for w in space.writes if w.value != self.value)
        return replace(
            space,
            dims=dims,
            reduction=frozenset(new for dim in space.reduction for new in names[dim]),
            reads=tuple(map(self._map, space.reads)),
            writes=tuple(map(self._map, writes)),
            shapes=(),
            mean=None,
            positional=frozenset(new for dim in space.positional for new in names[dim]),
        )

    def _map(self, access: IndexingMap) -> IndexingMap:
        return IndexingMap(access.value, access.type, tuple(map(self._index, access.indices)))

    def _index(self, index: Index) -> Index:
        terms: list[tuple[str, int]] = []
        offset = index.offset
        for dim, stride in index.terms:
            inner = self.indices.get(dim, Index(((f"{dim}'", 1),)))
            terms += [(each, stride * step) for each, step in inner.terms]
            offset += stride * inner.offset
        return index._replace(terms=tuple(terms), offset=offset)


def _unify(
    writer: IterationSpace,
    target: Index,
    reader: IterationSpace,
    source: Index,
    size: int,
    indices: dict[str, Index],
) -> None:
    """Say which index of the consumer stands for a dim of the producer."""
    extents = [writer.dims[dim] for dim, _ in target.terms]
    if len(target.terms) == 1 and target.terms[0][1] == 1:
        pairs = [(target.dims[0], source)]
    elif extents == [reader.dims[dim] for dim, _ in source.terms] and writer.is_row_major(target):
        pairs = [(dim, Index(((each, 1),))) for dim, each in zip(target.dims, source.dims, strict=True)]
    else:
        raise FusionError("it is written and read by dims that are composed in different ways")
    covered = 1
    for extent in extents:
        covered *= extent
    if covered != size or target.offset:
        raise FusionError("only a part of it is written")
    for dim, index in pairs:
        if indices.setdefault(dim, index) != index:
            raise FusionError(f"two of its dims are indexed by {dim}")


def _require_complete(
    writer: IterationSpace, reader: IterationSpace, indices: Mapping[str, Index], repeats: tuple[str, ...]
) -> None:
    for dim in sorted(writer.reduction):
        if writer.dims[dim] == 1:
            continue
        if dim not in indices:
            if repeats:
                raise FusionError(f"its reduction along {dim} would be done again along {', '.join(repeats)}")
            continue
        is_rescaled = writer.combine == "online_softmax" and reader.combine == "sum"
        if not is_rescaled or not reader.reduction.issuperset(indices[dim].dims):
            raise FusionError(
                f"it is complete only after all points along {dim}, which its reader has in parallel"
            )
