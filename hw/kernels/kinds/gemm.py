"""Matrix products: `b` independent rows of `m` (b * m rows in all) times one weight, [b m, k] @ [k, n]."""

from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind, every_row
from steelyard.hw.kernels.gemm.model import Gemm
from steelyard.hw.kernels.gemm.simt import CALL_RATIOS
from steelyard.hw.kernels.gemm.tile_grid import gemm_grid

KIND = KernelKind(
    name="gemm",
    work="contraction",
    dims={"b": Dim(default=1), "m": Dim(), "n": Dim(), "k": Dim()},
    features=("b m", "n", "k"),
    model=Gemm("gemm"),
    call_ratio=CALL_RATIOS["gemm"],
    vectorized=("m", "n", "k"),
    regressors={"gemm": every_row},
    grid=gemm_grid,
)
