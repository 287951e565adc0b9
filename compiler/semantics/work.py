"""The work of an op: its iteration spaces, from which FLOPs, bytes, aliases and splits derive."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from steelyard.compiler.semantics.nest import Access, Flops, Nest
from steelyard.hw.base.kernel_work import Rows, WorkKind


@dataclass(frozen=True, slots=True)
class Work:
    """What an op does, whatever device it runs on.

    Attributes:
        kind: The kind of kernel that does it; "view" where no kernel runs.
        nests: The iteration spaces; a dim of the same name is the same dim in all of them.
        aliases: Pairs of a result's index and the argument whose storage it shares.
        mutates: The arguments that are written.
        filters: Those of a weight's gradient, None where there is none.
    """

    kind: WorkKind
    nests: tuple[Nest, ...] = ()
    aliases: tuple[tuple[int, str], ...] = ()
    mutates: tuple[str, ...] = ()
    filters: Rows | None = None

    @property
    def flops(self) -> Flops:
        """The operations of all nests."""
        return sum((nest.flops for nest in self.nests), Flops())

    @property
    def bytes_read(self) -> int:
        """Bytes requested: a tensor that two nests read counts twice."""
        return sum(nest.touched_bytes(access) for nest in self.nests for access in nest.reads)

    @property
    def bytes_written(self) -> int:
        """Bytes written, each element once."""
        return sum(self._written().values())

    @property
    def bytes_unique(self) -> int:
        """Bytes that move at least: each tensor read counts once, and each tensor written."""
        read: dict[str, int] = {}
        for nest in self.nests:
            for access in nest.reads:
                read[access.value] = max(read.get(access.value, 0), nest.touched_bytes(access))
        return sum(read.values()) + self.bytes_written

    @property
    def rows(self) -> Rows:
        """Those of the largest tensor written; of a convolution, the filters of its weight's gradient."""
        if self.kind in ("convolution", "depthwise_convolution"):
            return self.filters or Rows()
        written = [access.type.rows() for nest in self.nests for access in nest.writes]
        return max(written, key=lambda rows: rows.total_bytes, default=Rows())

    @property
    def is_view(self) -> bool:
        """Whether nothing is computed and a result is another look at an argument."""
        return bool(self.aliases) and not self.nests

    @property
    def dims(self) -> dict[str, int]:
        """Every iteration dim and its extent."""
        return {dim: extent for nest in self.nests for dim, extent in nest.dims.items()}

    @property
    def compute_dtype(self) -> str | None:
        """The element type that arithmetic is done in: of the first floating tensor of the largest nest."""
        if not self.nests:
            return None
        nest = max(self.nests, key=lambda each: each.flops.total)
        dtypes = [access.type.dtype for access in (*nest.reads, *nest.writes)]
        return next(
            (dtype for dtype in dtypes if "f" in dtype or dtype.startswith("c")), (dtypes or [None])[0]
        )

    def shardable(self, dim: str) -> bool:
        """Return whether devices can each do a part of `dim` with no exchange and no repetition."""
        nests = [nest for nest in self.nests if dim in nest.dims]
        return (
            bool(nests)
            and all(dim in nest.dims or not nest.per_point.total for nest in self.nests)
            and all(dim not in nest.reduction and self._splits(nest, dim) for nest in nests)
        )

    def partial(self, dim: str) -> bool:
        """Return whether devices can each do a part of `dim` and combine their results afterwards.

        A nest without `dim` (the bias of a matrix product) is then to be done once, after the combination.
        """
        nests = [nest for nest in self.nests if dim in nest.dims]
        return bool(nests) and all(
            dim in nest.reduction
            and nest.combine != "other"
            and not any(dim in (dims or ()) for access in nest.writes for dims in access.dims)
            and self._splits(nest, dim)
            for nest in nests
        )

    def split(self, dim: str) -> dict[str, int | None]:
        """Return for each tensor which of its dims is cut when `dim` is; None for one that is kept whole."""
        cut: dict[str, int | None] = {}
        for _, access in self._accesses():
            at = [index for index, dims in enumerate(access.dims) if dim in (dims or ())]
            cut[access.value] = at[0] if at else cut.get(access.value)
        return cut

    def _splits(self, nest: Nest, dim: str) -> bool:
        """Whether a cut of `dim` cuts every tensor of `nest` into blocks that do not overlap."""
        return all(
            dim == next((each for each in dims if nest.dims[each] > 1), dim)
            and prod(nest.dims[each] for each in dims) == size
            for access in (*nest.reads, *nest.writes)
            for size, dims in zip(access.type.shape, access.dims, strict=True)
            if dims and dim in dims
        )

    def _accesses(self) -> Iterator[tuple[Nest, Access]]:
        for nest in self.nests:
            for access in (*nest.reads, *nest.writes):
                yield nest, access

    def _written(self) -> dict[str, int]:
        written: dict[str, int] = {}
        for nest in self.nests:
            for access in nest.writes:
                written[access.value] = max(written.get(access.value, 0), nest.touched_bytes(access))
        return written
