from typing import Any

import pytest

from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target

V100_BYTES_PER_S = 900e9
IMAGES = 2 * 256 * 64 * 56 * 56


def step_us(dtype: str, *, channels_last: bool, device: str, groups: int = 1, **target: Any) -> float:
    image, weight = f"tensor<256x64x56x56x{dtype}>", f"tensor<64x{64 // groups}x3x3x{dtype}>"
    layout = "channels_last" if channels_last else ""
    text = f"""builtin.module {{ func.func @forward(%x : {image}, %w : {weight}) -> {image} {{
        %y = aten.convolution(%x, %w, stride = [1, 1], padding = [1, 1], dilation = [1, 1],
            transposed = false, output_padding = [0, 0], groups = {groups}) {{{layout}}} : {image}
        func.return %y : {image} }} }}"""
    module = parse_program(text)
    annotate(module, Target(device=device, context="graph", **target))
    latency: Any = read_totals(module)["latency"]
    return latency["value_us"]


def transposes_us(dtype: str, device: str, **more: Any) -> float:
    """What channels first takes more than channels last."""
    return step_us(dtype, channels_last=False, device=device, **more) - step_us(
        dtype, channels_last=True, device=device, **more
    )


@pytest.mark.parametrize(("dtype", "size", "sign"), [("f16", 2, 1), ("f32", 4, -1)])
def test_images_that_lie_otherwise_than_kernels_want_are_read_and_written_once_more(
    dtype: str, size: int, sign: int
) -> None:
    least_us = 2 * IMAGES * size / V100_BYTES_PER_S * 1e6
    assert least_us < sign * transposes_us(dtype, "v100-sxm2-16gb") < 1.4 * least_us


def test_kernels_in_tf32_transpose_what_they_read() -> None:
    half_of_twice = transposes_us("f32", "a100-80gb-sxm", tf32=True)
    assert half_of_twice == pytest.approx(transposes_us("f16", "a100-80gb-sxm"), rel=0.05)


def test_depthwise_kernels_are_pytorchs_own_and_take_any_layout() -> None:
    assert transposes_us("f16", "v100-sxm2-16gb", groups=64) == 0
