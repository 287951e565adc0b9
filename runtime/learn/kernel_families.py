"""Families of kernels that regressors are learned for: the sizes that vary, and what runs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.devices.learned_models import KERNELS, LearnedKind, size_names
from steelyard.hw.kernels.common.kernel_queries import Column, KernelBatch, KernelKind
from steelyard.hw.kernels.registry import MODELS
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, microbenchmark

Config = tuple[int, ...]
"""The sizes of one kernel, in the order of `size_names` of its kind."""

_LARGEST_FLOPS = 4e9
_LARGEST_BYTES = 2**27
"""A kernel is measured on two sets of operands, a few dozen kernels at a time."""


@dataclass(frozen=True, slots=True)
class Group:
    """Kernels that share a regressor.

    Attributes:
        name: As on the command line.
        scaled: The dims that vary freely among models; those that must be equal, or in proportion, together.
        batch: The dim that grows with the batch.
        file: The microbenchmark that runs its kernels.
        function: Of that file.
    """

    name: LearnedKind
    scaled: tuple[tuple[str, ...], ...]
    batch: str
    file: str
    function: str

    @property
    def kind(self) -> KernelKind:
        """The kind of kernel in tables and models."""
        return KERNELS[self.name]

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of a config's numbers."""
        return size_names(self.kind)

    def dims(self, configs: Sequence[Config]) -> dict[str, Column]:
        """Return configs as the columns of a query."""
        columns = np.array(configs, dtype=np.int64).reshape(len(configs), len(self.sizes)).T
        dims: dict[str, Column] = dict(zip(self.sizes, columns, strict=True))
        if self.kind == "conv2d":
            dims["direction"] = np.full(len(configs), "fwd")
        return dims

    def queries(self, configs: Sequence[Config]) -> KernelBatch:
        """Return configs as a question to models."""
        return KernelBatch(self.kind, "f32", self.dims(configs))

    def microbenchmark(self, config: Config) -> Microbenchmark:
        """Return the op that runs a kernel: eager, forward, in f32."""
        return microbenchmark(self.file, self.function, _sizes(**dict(zip(self.sizes, config, strict=True))))

    def is_possible(self, config: Config) -> bool:
        """Whether a kernel can be measured: windows fit, and neither time nor memory is out of hand."""
        sizes = dict(zip(self.sizes, config, strict=True))
        if self.kind == "conv2d" and not _windows_fit(**sizes):
            return False
        counts = MODELS[self.kind].counts("f32", self.dims([config]))
        moved_bytes = float(counts.bytes_read[0] + counts.bytes_written[0])
        return float(counts.contraction_flops[0]) <= _LARGEST_FLOPS and moved_bytes <= _LARGEST_BYTES


def group_named(name: str) -> Group:
    """Return the group of this name.

    Raises:
        UsageError: There is none.
    """
    if name in GROUPS:
        return GROUPS[name]
    raise UsageError(
        what=f"no regressor is learned for {name!r}", where="--kind", fix=did_you_mean(name, GROUPS)
    )


def _windows_fit(*, h: int, w: int, r: int, s: int, pad: int, **_: int) -> bool:
    return h + 2 * pad >= r and w + 2 * pad >= s


def _sizes(**dims: int) -> dict[str, int | str]:
    """Return the sizes of a template: the dims of a kernel, and what follows from them."""
    sizes: dict[str, int | str] = {**dims}
    match dims:
        case {"b": b, "m": m, "n": _, "k": _}:
            sizes["rows"] = b * m
        case {"hq": _, "causal": causal}:
            sizes["causal"] = "true" if causal else "false"
        case {"h": h, "w": w, "r": r, "s": s, "stride": stride, "pad": pad, "c": c, "groups": groups}:
            sizes["ci"] = c // groups
            sizes["p"], sizes["q"] = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
        case _:
            pass
    return sizes


GROUPS: Mapping[str, Group] = {
    group.name: group
    for group in (
        Group("gemm", (("m",), ("n",), ("k",)), "m", "matmul.mlir", "linear"),
        Group("bmm", (("m",), ("n",), ("k",)), "b", "bmm.mlir", "batched"),
        Group("conv2d", (("c",), ("o",)), "n", "convolution.mlir", "convolution"),
        Group("depthwise_conv2d", (("c", "o", "groups"),), "n", "convolution.mlir", "convolution"),
        Group("softmax", (("rows",), ("cols",)), "rows", "softmax.mlir", "softmax"),
        Group("layer_norm", (("rows",), ("cols",)), "rows", "layer_norm.mlir", "layer_norm"),
        Group("attention_prefill", (("hq", "hkv"), ("sq", "skv")), "b", "attention.mlir", "attention"),
    )
}
