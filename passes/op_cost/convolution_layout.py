"""Layout of a convolution: copies of its images into the layout that its kernels take."""

from steelyard.compiler.semantics.iteration_space import IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_work import DType, KernelWork
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.conv2d.execution_unit import is_on_matrix_units
from steelyard.passes.op_cost.kernel_query import sliding_tensors


def layout_kernels(
    work: OpWork, dtype: DType, device: Device, *, channels_last: bool
) -> tuple[KernelWork, ...]:
    """Return the copies between layouts of a convolution or its gradient, none where no kernel wants another.

    cuDNN's kernels on tensor cores take images with channels last, those on vector lanes with channels first;
    images that lie otherwise are transposed before each kernel, and its result after it. For ResNet-50 with
    autocast on a V100 (batch 128) that is 32 GB or 43 ms a step; 41 ms were measured between both layouts
    (sandeepkumar-skb/pytorch_experiments 84f7ac8). Kernels in TF32 write channels first by themselves: cuDNN
    8 names them `..._nhwckcrs_nchw`.

    Args:
        work: The work of a convolution or of its gradient.
        dtype: The type that its arithmetic is done in.
        device: Its device.
        channels_last: Whether images lie with channels last.
    """
    if work.kind != "convolution" or channels_last == is_on_matrix_units(device, dtype):
        return ()
    spaces = [space for space in work.spaces if space.flops_per_iteration.contraction]
    return tuple(_copies(space, dtype) for space in spaces)


def _copies(space: IterationSpace, dtype: DType) -> KernelWork:
    """The weight is small and left out."""
    *images, _ = sliding_tensors(space)
    copied = [each for each in images if dtype != "tf32" or each in space.reads]
    images_bytes = sum(each.type.numel for each in copied) * element_bytes(dtype)
    return KernelWork(kind="copy", dtype=dtype, bytes_read=images_bytes, bytes_written=images_bytes)
