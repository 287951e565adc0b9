"""Sizes seen in the allocation events of torch 2.13 on an AVX-512 CPU with two threads."""

from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes

MAP = 8 * 64 * 56 * 56 * 4  # 6,422,528 bytes
WEIGHT = 64 * 64 * 9 * 4


def test_forward_copies_in_and_out(convolution):
    assert forward_peak_bytes(convolution()) == 2 * MAP + WEIGHT


def test_an_image_is_read_as_it_is(convolution):
    assert forward_peak_bytes(convolution(3)) == 2 * MAP


def test_channels_fill_blocks_of_sixteen(convolution):
    assert forward_peak_bytes(convolution(3, 20)) == 2 * 8 * 32 * 56 * 56 * 4


def test_depthwise_weights_are_blocked_by_group(convolution):
    assert convolution(groups=64).weight_bytes == 64 * 9 * 4


def test_backward_of_the_weight_holds_both_maps_beside_the_gradient_of_the_data(convolution):
    assert backward_peak_bytes(convolution(), data=True, weights=True) == 3 * MAP + 2 * WEIGHT
    assert backward_peak_bytes(convolution(), data=True, weights=False) == 2 * MAP + WEIGHT
    assert backward_peak_bytes(convolution(), data=False, weights=True) == 2 * MAP + 2 * WEIGHT


def test_a_strided_gradient_is_copied_twice(convolution):
    sizes = convolution(256, 512, side=56, window=1, stride=2, batch=4)
    assert backward_peak_bytes(sizes, data=True, weights=False) == 3 * 12_845_056


def test_a_wide_window_is_unrolled_by_each_thread(convolution):
    sizes = convolution(3, 768, side=224, window=16, stride=16, batch=2)
    weight, unrolled = 2_359_296, 602_112
    assert backward_peak_bytes(sizes, data=False, weights=True) == weight + 2 * (4 * weight + unrolled)


def test_half_precision_sums_points_in_f32(convolution):
    sizes = convolution(16, 96, side=112, window=1, batch=4, half=True)
    source, weight, result = 1_605_632, 3_072, 9_633_792
    assert forward_peak_bytes(sizes) == source + weight + result + 9_633_792


def test_channels_last_needs_copies_of_the_weight_alone(convolution):
    sizes = convolution(96, 192, side=56, window=2, stride=2, batch=2, channels_last=True)
    assert forward_peak_bytes(sizes) == 1_204_224 + 2 * 294_912
    depthwise = convolution(768, 768, groups=768, side=7, window=7, batch=2, channels_last=True)
    assert backward_peak_bytes(depthwise, data=True, weights=True) == 301_056 + 38_535_168
