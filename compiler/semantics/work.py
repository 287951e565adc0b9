"""The work of an op: its iteration spaces, from which FLOPs, bytes, aliases and splits derive."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from steelyard.compiler.semantics.iteration_space import Flops, IndexingMap, IterationSpace
from steelyard.hw.base.kernel_work import WorkKind


@dataclass(frozen=True, slots=True)
class OpWork:
    """What an op does, whatever device it runs on.

    Attributes:
        kind: The kind of kernel that does it; "view" where no kernel runs.
        nests: The iteration spaces; a dim of the same name is the same dim in all of them.
        aliases: Pairs of a result's index and the argument whose storage it shares.
        mutates: The arguments that are written.
    """

    kind: WorkKind
    spaces: tuple[IterationSpace, ...] = ()
    aliases: tuple[tuple[int, str], ...] = ()
    mutates: tuple[str, ...] = ()

    @property
    def flops(self) -> Flops:
        """The operations of all nests."""
        return sum((space.flops for space in self.spaces), Flops())

    @property
    def bytes_read(self) -> int:
        """Bytes requested: a tensor that two nests read counts twice."""
        return sum(space.touched_bytes(access) for space in self.spaces for access in space.reads)

    @property
    def bytes_written(self) -> int:
        """Bytes written, each element once."""
        return sum(self._written().values())

    @property
    def bytes_unique(self) -> int:
        """Bytes that move at least: each tensor read counts once, and each tensor written."""
        read: dict[str, int] = {}
        for space in self.spaces:
            for access in space.reads:
                read[access.value] = max(read.get(access.value, 0), space.touched_bytes(access))
        return sum(read.values()) + self.bytes_written

    @property
    def is_view(self) -> bool:
        """Whether nothing is computed and a result is another look at an argument."""
        return bool(self.aliases) and not self.spaces

    @property
    def dims(self) -> dict[str, int]:
        """Every iteration dim and its extent."""
        return {dim: extent for space in self.spaces for dim, extent in space.dims.items()}

    @property
    def compute_dtype(self) -> str | None:
        """The element type that arithmetic is done in: of the first floating tensor of the largest nest."""
        if not self.spaces:
            return None
        space = max(self.spaces, key=lambda each: each.flops.total)
        dtypes = [access.type.dtype for access in (*space.reads, *space.writes)]
        return next(
            (dtype for dtype in dtypes if "f" in dtype or dtype.startswith("c")), (dtypes or [None])[0]
        )

    def shardable(self, dim: str) -> bool:
        """Return whether devices can each do a part of `dim` with no exchange and no repetition."""
        spaces = [space for space in self.spaces if dim in space.dims]
        return (
            bool(spaces)
            and all(dim in space.dims or not space.flops_per_iteration.total for space in self.spaces)
            and all(dim not in space.reduction and self._splits(space, dim) for space in spaces)
        )

    def partial(self, dim: str) -> bool:
        """Return whether devices can each do a part of `dim` and combine their results afterwards.

        A nest without `dim` (the bias of a matrix product) is then to be done once, after the combination.
        """
        spaces = [space for space in self.spaces if dim in space.dims]
        return bool(spaces) and all(
            dim in space.reduction
            and space.combine != "other"
            and not any(dim in (dims or ()) for access in space.writes for dims in access.dims)
            and self._splits(space, dim)
            for space in spaces
        )

    def split(self, dim: str) -> dict[str, int | None]:
        """Return for each tensor which of its dims is cut when `dim` is; None for one that is kept whole."""
        cut: dict[str, int | None] = {}
        for _, access in self._accesses():
            at = [index for index, dims in enumerate(access.dims) if dim in (dims or ())]
            cut[access.value] = at[0] if at else cut.get(access.value)
        return cut

    def _splits(self, space: IterationSpace, dim: str) -> bool:
        """Whether a cut of `dim` cuts every tensor of `nest` into blocks that do not overlap."""
        return all(
            dim == next((each for each in dims if space.dims[each] > 1), dim)
            and prod(space.dims[each] for each in dims) == size
            for access in (*space.reads, *space.writes)
            for size, dims in zip(access.type.shape, access.dims, strict=True)
            if dims and dim in dims
        )

    def _accesses(self) -> Iterator[tuple[IterationSpace, IndexingMap]]:
        for space in self.spaces:
            for access in (*space.reads, *space.writes):
                yield space, access

    def _written(self) -> dict[str, int]:
        written: dict[str, int] = {}
        for space in self.spaces:
            for access in space.writes:
                written[access.value] = max(written.get(access.value, 0), space.touched_bytes(access))
        return written
