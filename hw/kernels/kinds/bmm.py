"""Batched matrix products: `b` products [m, k] @ [k, n], each with operands of its own."""

from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind, every_row
from steelyard.hw.kernels.gemm.model import Gemm
from steelyard.hw.kernels.gemm.simt import CALL_RATIOS
from steelyard.hw.kernels.gemm.tile_grid import bmm_grid

KIND = KernelKind(
    name="bmm",
    work="contraction",
    dims={"b": Dim(default=1), "m": Dim(), "n": Dim(), "k": Dim()},
    features=("b", "m", "n", "k"),
    model=Gemm("bmm"),
    call_ratio=CALL_RATIOS["bmm"],
    vectorized=("m", "n", "k"),
    regressors={"bmm": every_row},
    grid=bmm_grid,
)
