"""Convolution latency: the fastest of the algorithms cuDNN's benchmark mode chooses from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelKind
from steelyard.hw.kernels.conv2d.algorithm import Plan
from steelyard.hw.kernels.conv2d.execution_unit import ELEMENT_BYTES, ConvUnit, conv_unit, is_on_matrix_units
from steelyard.hw.kernels.conv2d.fft import tiled_fft
from steelyard.hw.kernels.conv2d.implicit_gemm import atomic_gemm, direct, implicit_gemm, tensor_gemm
from steelyard.hw.kernels.conv2d.shape import ConvShape
from steelyard.hw.kernels.conv2d.winograd import fused_winograd, unfused_winograd


@dataclass(frozen=True, slots=True)
class Conv2dModel:
    """Convolutions in three directions, NCHW on vector lanes and channels last on tensor cores.

    seconds = host + launches x launch_s + the shortest algorithm, at least the floor. On vector lanes:

    - cycles_per_step: cycles of an SM for the multiply-adds that its lanes do in one, in the main loop of a
      product, if loads were free; operand_load_cycles: more of them in a tile of a x b, times 1/a + 1/b.
    - tile_prologue_steps: start and end of a tile, in steps of its reduction.
    - latency_outputs: what an SM waits for loads in a product, as outputs more that it would make.
    - winograd_cycles_per_step, winograd_prologue_channels: the same of the fused Winograd, by channels.
    - memory_fraction: part of the pin rate in transforms and stores.
    - filter_transform_slowdown: of the unfused Winograd's filters; unaligned_filter_slowdown: on top, where
      the channels are no multiple of 4.
    - power_fraction: part of the power limit that the arithmetic gets.
    - adding_slowdown: of a product that is added to memory, as gradients of filters and strided ones are.
    - launch_s: a kernel that does nothing, in a graph.
    - host_s: what an eager call takes before its first kernel starts.

    On tensor cores those of `TensorGemm`, launch_s and host_s.
    """

    @property
    def kind(self) -> KernelKind:
        """The kind that it prices."""
        return "conv2d"

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work of the definition; each tensor moves once."""
        shape = ConvShape.of(dims)
        written, size = shape.written_elements, ELEMENT_BYTES.get(dtype, 4)
        return KernelCost(
            contraction_flops=2 * shape.macs,
            bytes_read=size * (shape.elements - written),
            bytes_written=size * written,
        )

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's architecture family for this type.

        One table, fitted in f32, serves all types on vector lanes, and one, fitted in bf16, all on tensor
        cores.
        """
        lanes = family_coefficients("conv2d/conv2d", "f32", device.architecture)
        if not is_on_matrix_units(device, dtype):
            return lanes
        tensor = family_coefficients("gemm/gemm_tensor", "bf16", device.architecture)
        return {**tensor, "launch_s": lanes["launch_s"], "host_s": lanes["host_s"]}

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        """Return the time of each row.

        Raises:
            DeviceError: The device has no unit for the type, or its memory is not described.
        """
        shape = ConvShape.of(dims)
        unit = conv_unit(device, dtype, coefficients, settled=not context.host_overhead)
        busy_s, memory_s, launches_s = (np.full_like(shape.macs, np.inf) for _ in range(3))
        for plan in _plans(shape, unit, coefficients):
            launch_s = plan.launches * coefficients["launch_s"]
            better = plan.busy_s + launch_s < busy_s + launches_s
            busy_s = np.where(better, plan.busy_s, busy_s)
            memory_s = np.where(better, plan.memory_s, memory_s)
            launches_s = np.where(better, launch_s, launches_s)
        eager = context.host_overhead and context.mode == "eager"
        host_s = coefficients["host_s"] if eager else 0.0
        floor_s = _floor_s(shape, unit)
        limiter = np.where(memory_s > busy_s / 2, "memory", "compute")
        limiter = np.where(launches_s > busy_s, "launch", limiter)
        limiter = np.where(host_s > busy_s + launches_s, "host", limiter)
        return Estimate(host_s + np.maximum(launches_s + busy_s, floor_s), floor_s, limiter)


def chosen_algorithms(
    device: Device, dtype: DType, dims: Mapping[str, Column], coefficients: Coefficients
) -> tuple[NDArray[np.str_], Floats]:
    """Return the name of the fastest algorithm and the bytes of its workspace, a row each.

    Raises:
        DeviceError: The device has no unit for the type, or its memory is not described.
    """
    plans = _plans(ConvShape.of(dims), conv_unit(device, dtype, coefficients), coefficients)
    seconds = np.stack([plan.busy_s + plan.launches * coefficients["launch_s"] for plan in plans])
    best = np.argmin(seconds, axis=0)
    workspace = np.stack([plan.workspace_bytes for plan in plans])
    names = np.array([plan.name for plan in plans])
    return names[best], np.take_along_axis(workspace, best[None], axis=0)[0]


def _plans(shape: ConvShape, unit: ConvUnit, coefficients: Coefficients) -> list[Plan]:
    algorithms = (implicit_gemm, atomic_gemm, direct, fused_winograd, unfused_winograd, tiled_fft)
    if unit.matrix:
        algorithms = (tensor_gemm, direct)
    return [algorithm(shape, unit, coefficients) for algorithm in algorithms]


def _floor_s(shape: ConvShape, unit: ConvUnit) -> Floats:
    """The fewest multiplications of any algorithm at the peak, and the bytes that the last cache cannot hold.

    F(4x4, 3x3) needs a quarter of the MACs, and a Fourier transform two an output (arXiv 1509.09308 and
    1412.7580); matrix units and groups need all. No device reads the taps that padding and strides leave out.
    """
    taps = shape.r * shape.s
    fast = (shape.stride == 1) & (shape.groups == 1) & (not unit.matrix)
    saved = np.where(fast, np.where(taps == 9, 4.0, np.maximum(taps / 2, 1.0)), 1.0)
    moved = np.maximum(shape.elements * unit.element_bytes - unit.l2_bytes, 0)
    return np.maximum(2 * shape.macs / saved / unit.peak_flops_per_s, moved / unit.bytes_per_s)
