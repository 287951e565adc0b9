"""Elementwise functions over a [rows, cols] tensor."""

from steelyard.hw.kernels.common.kernel_kind import Dim, KernelKind
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.elementwise_functions import FUNCTIONS

KIND = KernelKind(
    name="elementwise",
    work="pointwise",
    dims={"fn": Dim(words=tuple(FUNCTIONS), counts=False), "rows": Dim(), "cols": Dim()},
    features=("rows cols", "cols"),
    model=Elementwise(),
)
