"""Kernel families that share a regressor: their varying sizes, and the microbenchmark of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.kernels.common.kernel_queries import Column, KernelBatch
from steelyard.hw.kernels.registry import KINDS, kind_of_regressor
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark, microbenchmark

Config = tuple[int, ...]
"""The sizes of one kernel, in the order of the sizes of its kind."""

_LARGEST_FLOPS = 4e9
_LARGEST_BYTES = 2**27
"""Limit of a kernel: each has two sets of operands, and a few dozen are timed together."""


@dataclass(frozen=True, slots=True)
class KernelFamily:
    """Kernels that share a regressor.

    Attributes:
        name: Name on the command line.
        scaled: The dims that vary among models; dims in one tuple are equal or in a fixed proportion.
        batch: The dim that grows with the batch.
        file: The microbenchmark that runs its kernels.
        function: Of that file.
    """

    name: str
    scaled: tuple[tuple[str, ...], ...]
    batch: str
    file: str
    function: str

    @property
    def kind(self) -> str:
        """The kind of kernel in tables and models."""
        return kind_of_regressor(self.name).name

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of a config's sizes."""
        return KINDS[self.kind].sizes

    def dims(self, configs: Sequence[Config]) -> dict[str, Column]:
        """Return configs as columns of dims."""
        columns = np.array(configs, dtype=np.int64).reshape(len(configs), len(self.sizes)).T
        dims: dict[str, Column] = dict(zip(self.sizes, columns, strict=True))
        if self.kind == "conv2d":
            dims["direction"] = np.full(len(configs), "fwd")
        return dims

    def queries(self, configs: Sequence[Config]) -> KernelBatch:
        """Return configs as a batch for kernel models."""
        return KernelBatch(self.kind, "f32", self.dims(configs))

    def microbenchmark(self, config: Config) -> Microbenchmark:
        """Return the microbenchmark of a kernel: eager, forward, in f32."""
        return microbenchmark(self.file, self.function, _sizes(**dict(zip(self.sizes, config, strict=True))))

    def is_possible(self, config: Config) -> bool:
        """Whether a kernel can be measured: its window fits, and time and memory are within limits."""
        sizes = dict(zip(self.sizes, config, strict=True))
        if self.kind == "conv2d" and not _windows_fit(**sizes):
            return False
        cost = KINDS[self.kind].model.counts("f32", self.dims([config])).split(1)[0]
        return cost.contraction_flops <= _LARGEST_FLOPS and cost.touched_bytes <= _LARGEST_BYTES


def family_named(name: str) -> KernelFamily:
    """Return the family of this name.

    Raises:
        UsageError: There is no such family.
    """
    if name in KERNEL_FAMILIES:
        return KERNEL_FAMILIES[name]
    raise UsageError(
        what=f"no regressor is learned for {name!r}", where="--kind", fix=did_you_mean(name, KERNEL_FAMILIES)
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


KERNEL_FAMILIES: Mapping[str, KernelFamily] = {
    family.name: family
    for family in (
        KernelFamily("gemm", (("m",), ("n",), ("k",)), "m", "matmul.mlir", "linear"),
        KernelFamily("bmm", (("m",), ("n",), ("k",)), "b", "bmm.mlir", "batched"),
        KernelFamily("conv2d", (("c",), ("o",)), "n", "convolution.mlir", "convolution"),
        KernelFamily("depthwise_conv2d", (("c", "o", "groups"),), "n", "convolution.mlir", "convolution"),
        KernelFamily("softmax", (("rows",), ("cols",)), "rows", "softmax.mlir", "softmax"),
        KernelFamily("layer_norm", (("rows",), ("cols",)), "rows", "layer_norm.mlir", "layer_norm"),
        KernelFamily("attention_prefill", (("hq", "hkv"), ("sq", "skv")), "b", "attention.mlir", "attention"),
    )
}
