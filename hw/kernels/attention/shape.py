"""Bytes and FLOPs of fused attention, one row a kernel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

_ITEM_BYTES: dict[DType, int] = {"f64": 8, "f32": 4, "tf32": 4, "f16": 2, "bf16": 2, "f8": 1}


@dataclass(frozen=True, slots=True)
class Attentions:
    """Fused attentions: `b` sequences of `sq` queries against `skv` keys, in heads of `d`.

    Attributes:
        b: Sequences.
        hq: Heads of the queries.
        hkv: Heads of the keys and values; `hq / hkv` heads of the queries share one.
        sq: Queries of a sequence.
        skv: Keys of a sequence.
        d: Features of a head.
        causal: Whether a query sees only the keys up to its own; queries are the last `sq` positions.
        item_bytes: Size of an operand's element.
    """

    b: Floats
    hq: Floats
    hkv: Floats
    sq: Floats
    skv: Floats
    d: Floats
    causal: Column
    item_bytes: int

    @property
    def rows_per_kv_head(self) -> Floats:
        """Rows of queries that meet the same keys: those of all heads that share them."""
        return self.hq / self.hkv * self.sq

    @property
    def first_seen(self) -> Floats:
        """Keys that the first query sees."""
        before = np.maximum(self.skv - self.sq, 0)
        return np.where(self.causal, np.minimum(before + 1, self.skv), self.skv)

    @property
    def scores(self) -> Floats:
        """Pairs of a query and a key that it sees, over all heads."""
        # Each query sees one key more than the one before it, until all are seen.
        steps = self.skv - self.first_seen
        rising = np.minimum(self.sq, steps + 1)
        ramp = rising * self.first_seen + rising * (rising - 1) / 2
        return self.b * self.hq * (ramp + (self.sq - rising) * self.skv)

    @property
    def contraction_flops(self) -> Floats:
        """FLOPs of both products: query by key, and probability by value."""
        return 4 * self.d * self.scores

    @property
    def query_bytes(self) -> Floats:
        """Bytes of the queries, and of the result."""
        return self.item_bytes * self.b * self.hq * self.sq * self.d

    @property
    def kv_bytes(self) -> Floats:
        """Bytes of keys and values."""
        return 2 * self.item_bytes * self.b * self.hkv * self.skv * self.d

    @property
    def new_kv_bytes(self) -> Floats:
        """Bytes of the keys and values at the positions of the queries."""
        return 2 * self.item_bytes * self.b * self.hkv * np.minimum(self.sq, self.skv) * self.d


def attentions(dtype: DType, dims: Mapping[str, Column]) -> Attentions:
    """Return the attentions that the columns describe.

    Raises:
        DeviceError: Attention is not computed in this type.
    """
    item_bytes = _ITEM_BYTES.get(dtype)
    if item_bytes is None:
        raise DeviceError(
            what=f"there is no fused attention in {dtype}",
            why=f"kernels take {', '.join(_ITEM_BYTES)}",
            fix="choose one of these types",
        )
    names = ("b", "hq", "hkv", "sq", "skv", "d")
    columns = {name: np.asarray(dims[name], dtype=np.float64) for name in names}
    return Attentions(**columns, causal=np.asarray(dims["causal"]) != 0, item_bytes=item_bytes)
