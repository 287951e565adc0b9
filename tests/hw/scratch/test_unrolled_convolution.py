"""Sizes seen in the allocation events of torch 2.13 on an AVX2 CPU, the same with one thread and with two."""

from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes


def test_half_precision_is_unrolled_where_there_is_no_avx512(convolution):
    sizes = convolution(batch=4, half=True, instruction_set="avx2")
    source, weight, columns = 1_605_632, 73_728, 14_450_688
    assert forward_peak_bytes(sizes) == source + columns
    assert backward_peak_bytes(sizes, data=True, weights=False) == source
    assert backward_peak_bytes(sizes, data=False, weights=True) == weight + columns
    assert forward_peak_bytes(convolution(batch=4, half=True)) < source + columns


def test_points_need_no_copies_unless_some_are_stepped_over(convolution):
    whole = convolution(window=1, batch=4, half=True, instruction_set="avx2")
    assert forward_peak_bytes(whole) == 1_605_632
    stepped = convolution(256, 512, window=1, stride=2, batch=4, half=True, instruction_set="avx2")
    assert forward_peak_bytes(stepped) == 3_211_264 + 1_605_632


def test_groups_are_joined_in_the_end(convolution):
    sizes = convolution(32, 32, groups=4, side=32, batch=4, half=True, instruction_set="avx2")
    assert forward_peak_bytes(sizes) == 917_504
    assert backward_peak_bytes(sizes, data=True, weights=False) == 524_288
    assert backward_peak_bytes(sizes, data=False, weights=True) == 725_504


def test_one_thread_multiplies_points_itself(convolution):
    assert convolution(window=1, threads=2).uses_onednn
    assert not convolution(window=1, threads=1).uses_onednn
    assert convolution(window=1, threads=1, batch=16).uses_onednn
    assert convolution(window=1, threads=1, stride=2).uses_onednn
    assert forward_peak_bytes(convolution(window=1, threads=1)) == 8 * 64 * 56 * 56 * 4


def test_a_small_single_image_is_unrolled(convolution):
    assert not convolution(16, 32, side=32, batch=1).uses_onednn
    assert forward_peak_bytes(convolution(16, 32, side=32, batch=1)) == 131_072 + 589_824
    assert convolution(32, 32, side=32, batch=1).uses_onednn
