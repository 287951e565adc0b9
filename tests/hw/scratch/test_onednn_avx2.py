"""Sizes seen in the allocation events of torch 2.13 on an AVX2 CPU with one and two threads."""

from collections.abc import Callable
from functools import partial

import pytest

from steelyard.hw.scratch.convolution import Convolution
from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes

MAP = 4 * 64 * 56 * 56 * 4
WEIGHT = 64 * 64 * 9 * 4


@pytest.fixture
def avx2(convolution: Callable[..., Convolution]) -> Callable[..., Convolution]:
    return partial(convolution, instruction_set="avx2", batch=4)


def weight_peak_bytes(sizes: Convolution) -> int:
    return backward_peak_bytes(sizes, data=False, weights=True)


def test_operands_are_copied_in_and_the_result_out(avx2):
    assert forward_peak_bytes(avx2()) == 2 * MAP + WEIGHT
    assert backward_peak_bytes(avx2(), data=True, weights=False) == 2 * MAP + WEIGHT
    assert weight_peak_bytes(avx2()) == 2 * MAP + WEIGHT


def test_the_gradient_of_an_images_weight_needs_the_destination_in_blocks(avx2):
    assert weight_peak_bytes(avx2(3, 16, side=32, batch=8)) == 524_288 + 1_728


def test_the_gradient_of_an_image_is_in_blocks_before_it_is_copied_out(avx2):
    sizes = avx2(3, 16, side=32, batch=8)
    assert backward_peak_bytes(sizes, data=True, weights=False) == 524_288 + 262_144 + 4_608


def test_channels_fill_blocks_of_eight(avx2):
    assert forward_peak_bytes(avx2(24, 40, side=28, batch=2)) == 2 * 250_880
    assert weight_peak_bytes(avx2(20, 40, side=28, batch=2)) == 250_880 + 150_528 + 34_560


@pytest.mark.parametrize(
    ("channels", "side", "window", "batch", "threads", "scratch"),
    [
        (96, 56, 7, 2, 1, 690_176),
        (96, 56, 7, 2, 2, 690_176),  # 1,568 points for each thread: they share one image
        (768, 7, 7, 2, 1, 611_972),
        (768, 7, 7, 2, 2, 1_223_688),
        (64, 28, 5, 2, 2, 104_256),
        (64, 14, 5, 1, 2, 90_656),
    ],
)
def test_a_wide_depthwise_window_is_unrolled(avx2, channels, side, window, batch, threads, scratch):
    sizes = avx2(channels, channels, groups=channels, side=side, window=window, batch=batch, threads=threads)
    weight = channels * window**2 * 4
    assert weight_peak_bytes(sizes) == pytest.approx(weight + scratch, abs=256)


def test_with_channels_last_a_depthwise_weight_has_blocks_of_both_channels(avx2):
    sizes = avx2(96, 96, groups=96, window=7, batch=2, channels_last=True)
    assert weight_peak_bytes(sizes) == 1_241_856
    assert forward_peak_bytes(sizes) == 2_427_264


def test_patches_are_unrolled_by_each_thread(avx2):
    for batch, threads, peak in [(1, 2, 12_398_848), (2, 1, 12_398_848), (2, 2, 22_438_144)]:
        sizes = avx2(3, 768, side=224, window=16, stride=16, batch=batch, threads=threads)
        assert weight_peak_bytes(sizes) == pytest.approx(peak, abs=512)


def test_a_pointwise_product_steps_over_points(avx2):
    sizes = avx2(256, 512, window=1, stride=2)
    assert forward_peak_bytes(sizes) == pytest.approx(21_397_632, abs=256)
    assert backward_peak_bytes(sizes, data=True, weights=False) == 3 * 12_845_056
    assert weight_peak_bytes(sizes) == pytest.approx(20_193_408, abs=256)


def test_a_depthwise_window_wider_than_the_image_is_unrolled_in_either_layout(avx2):
    for channels_last in (False, True):
        sizes = avx2(64, 64, groups=64, side=2, window=7, batch=2, channels_last=channels_last)
        assert weight_peak_bytes(sizes) == pytest.approx(114_880, abs=512)
