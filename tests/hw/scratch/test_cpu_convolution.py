"""Peaks inside convolutions beside the CPU allocator's own events, under the instruction set in use."""

import pytest
import torch

from steelyard.hw.scratch.convolution import Convolution
from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.timing.steady_state import measure_peak_bytes

TABLES_BYTES = 64 * 1024
"""Tables and rims of kernels, which are not modelled."""
SHAPES = {  # batch, channels, side, filters, window, stride, padding, groups
    "image": (2, 3, 64, 32, 4, 4, 0, 1),
    "points": (2, 64, 28, 64, 1, 1, 0, 1),
    "points, strided": (2, 128, 28, 64, 1, 2, 0, 1),
    "windows": (4, 32, 28, 64, 3, 1, 1, 1),
    "windows, strided": (2, 64, 28, 64, 3, 2, 1, 1),
    "no whole block": (2, 20, 28, 40, 3, 1, 1, 1),
    "depthwise": (2, 64, 28, 64, 3, 1, 1, 64),
    "depthwise, wide": (2, 64, 28, 64, 7, 1, 3, 64),
    "patches": (2, 3, 64, 192, 16, 16, 0, 1),
    "one small image": (1, 16, 16, 32, 3, 1, 1, 1),
    "groups": (2, 32, 28, 32, 3, 1, 1, 4),
}


@pytest.fixture
def instruction_set():
    found = host_instruction_set()
    if found not in ("avx2", "avx512"):
        pytest.skip(f"the scratch of oneDNN's kernels for {found} was not measured")
    return found


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_peaks_are_those_of_this_machines_library(shape, dtype, channels_last, instruction_set):
    batch, channels, side, filters, window, stride, padding, groups = SHAPES[shape]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    source = torch.randn(batch, channels, side, side).to(dtype).contiguous(memory_format=layout)
    weight = torch.randn(filters, channels // groups, window, window).to(dtype)
    call = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups
    result = torch.ops.aten.convolution(source, weight, None, *call)
    gradient = torch.randn_like(result)
    sizes = Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=filters,
        groups=groups,
        image=(side, side),
        result=tuple(result.shape[2:]),
        window=(window, window),
        stride=(stride,) * 2,
        padding=(padding,) * 2,
        dilation=(1, 1),
        item_bytes=source.element_size(),
        threads=torch.get_num_threads(),
        instruction_set=instruction_set,
        channels_last=channels_last,
    )

    def backward(data: bool, weights: bool) -> int:
        def step() -> object:
            return torch.ops.aten.convolution_backward(
                gradient, source, weight, None, *call, [data, weights, False]
            )

        return measure_peak_bytes(step, [])

    def is_near(predicted: int, measured: int) -> bool:
        return predicted == pytest.approx(measured, rel=0.1, abs=TABLES_BYTES)

    forward = measure_peak_bytes(lambda: torch.ops.aten.convolution(source, weight, None, *call), [])
    assert is_near(forward_peak_bytes(sizes), forward)
    for mask in ((True, False), (False, True), (True, True)):
        assert is_near(backward_peak_bytes(sizes, *mask), backward(*mask)), mask
