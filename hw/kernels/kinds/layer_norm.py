"""Layer norm over the columns of a [rows, cols] tensor, with weight and bias."""

from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind, every_row
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm
from steelyard.hw.kernels.memory_bound.row_reduction import row_grid

KIND = KernelKind(
    name="layer_norm",
    work="normalization",
    dims={"rows": Dim(), "cols": Dim()},
    features=("rows", "cols"),
    model=LayerNorm(),
    call_ratio=LayerNorm.call_ratio,
    vectorized=("cols",),
    regressors={"layer_norm": every_row},
    grid=row_grid,
)
