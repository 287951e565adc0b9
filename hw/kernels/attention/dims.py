"""Dims of attention: `b` sequences, `hq` query and `hkv` key heads of `d`, `sq` queries, `skv` keys."""

from collections.abc import Iterator

from steelyard.hw.kernels.common.kernel_kind import Conflict, Dim, Dims

DIMS = {
    "b": Dim(default=1),
    "hq": Dim(),
    "hkv": Dim(counts=False),
    "sq": Dim(),
    "skv": Dim(),
    "d": Dim(),
    "causal": Dim(default=0, smallest=0, largest=1, counts=False),
}


def conflicts(dims: Dims) -> Iterator[Conflict]:
    """Yield the rows whose query heads cannot share the key heads evenly."""
    yield Conflict(dims["hq"] % dims["hkv"] != 0, "hkv", "does not divide hq")
