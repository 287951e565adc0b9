"""Bias of a convolution: a separate kernel over the output, or over the output's gradient."""

from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_work import DType, KernelWork


def bias_kernel(work: OpWork, dtype: DType) -> KernelWork | None:
    """Return the kernel that adds a convolution's bias or sums its gradient; None where there is none.

    PyTorch calls cuDNN without the bias and adds it in place (`_convolution` in
    aten/src/ATen/native/Convolution.cpp), so that the output is read and written once more; its own depthwise
    kernels add it as they write. The gradient is a sum over all of the output's gradient.

    Args:
        work: The work of a convolution or of its gradient.
        dtype: The type that its arithmetic is done in.
    """
    bias = next((space for space in work.spaces if not space.flops_per_iteration.contraction), None)
    if bias is None:
        return None
    output_bytes = bias.size * element_bytes(dtype)
    if any(access.type.numel == bias.size for access in bias.reads):
        return KernelWork(kind="reduction", dtype=dtype, pointwise_flops=bias.size, bytes_read=output_bytes)
    if work.kind == "depthwise_convolution":
        return None
    return KernelWork(
        kind="pointwise",
        dtype=dtype,
        pointwise_flops=bias.size,
        bytes_read=output_bytes,
        bytes_written=output_bytes,
    )
