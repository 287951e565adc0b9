"""Softmax over the columns of a [rows, cols] tensor."""

from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind, every_row
from steelyard.hw.kernels.memory_bound.row_reduction import row_grid
from steelyard.hw.kernels.memory_bound.softmax import Softmax

KIND = KernelKind(
    name="softmax",
    work="softmax",
    dims={"rows": Dim(), "cols": Dim()},
    features=("rows", "cols"),
    model=Softmax(),
    call_ratio=Softmax.call_ratio,
    vectorized=("cols",),
    regressors={"softmax": every_row},
    grid=row_grid,
)
