import pytest

from steelyard.hw.scratch.scratch_bytes import ScratchBytes, scratch_of_kernels

SIZES = {"avx2": 10, "avx512": 30}


@pytest.mark.parametrize("instruction_set", SIZES)
@pytest.mark.parametrize("is_half", [False, True])
def test_a_measured_instruction_set_has_one_value(instruction_set, is_half):
    found = scratch_of_kernels(instruction_set, is_half=is_half, bytes_of=SIZES.__getitem__)
    assert found == ScratchBytes(*[SIZES[instruction_set]] * 3)
    assert found.is_known


@pytest.mark.parametrize("instruction_set", [None, "sse41", "avx"])
def test_another_one_has_the_interval_of_those_that_were_measured(instruction_set):
    found = scratch_of_kernels(instruction_set, is_half=False, bytes_of=SIZES.__getitem__)
    assert found == ScratchBytes(value=30, low=10, high=30)
    assert not found.is_known


def test_matrix_units_are_used_with_half_precision_alone():
    single, half = (
        scratch_of_kernels("avx512_amx", is_half=each, bytes_of=SIZES.__getitem__) for each in (False, True)
    )
    assert single == ScratchBytes(30, 30, 30)
    assert (half.low, half.high) == (10, 30)
