"""Sizes seen in the allocation events of torch 2.13 on an AVX-512 CPU."""

from steelyard.hw.onednn import Convolution, backward_peak_bytes, forward_peak_bytes

MAP = 8 * 64 * 56 * 56 * 4  # 6,422,528 bytes
WEIGHT = 64 * 64 * 9 * 4


def convolution(in_channels: int = 64, out_channels: int = 64, groups: int = 1, taps: int = 9) -> Convolution:
    pixels = 8 * 56 * 56
    return Convolution(
        in_channels=in_channels, out_channels=out_channels, groups=groups, source=pixels, destination=pixels,
        taps=taps, item_bytes=4,
    )  # fmt: skip


def test_forward_copies_in_and_out():
    assert forward_peak_bytes(convolution()) == 2 * MAP + WEIGHT


def test_an_image_is_read_as_it_is():
    assert forward_peak_bytes(convolution(in_channels=3)) == 2 * MAP


def test_channels_fill_blocks_of_sixteen():
    assert forward_peak_bytes(convolution(in_channels=3, out_channels=20)) == 2 * 8 * 32 * 56 * 56 * 4


def test_depthwise_weights_are_blocked_by_group():
    assert convolution(groups=64).weight_bytes == 64 * 9 * 4


def test_backward_of_the_weight_holds_both_maps_beside_the_gradient_of_the_data():
    assert backward_peak_bytes(convolution(), data=True, weights=True) == 3 * MAP + 2 * WEIGHT
    assert backward_peak_bytes(convolution(), data=True, weights=False) == 2 * MAP + WEIGHT
    assert backward_peak_bytes(convolution(), data=False, weights=True) == 2 * MAP + 2 * WEIGHT
