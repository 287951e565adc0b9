import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.units import FLOPS_PER_MAC, GIB, format_bytes, format_flops, format_us, parse_bytes


def test_one_multiply_accumulate_is_two_flops():
    assert FLOPS_PER_MAC == 2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1536, "1.50 KiB"),
        (80 * GIB, "80.0 GiB"),
        (24e9, "22.4 GiB"),
        (2**60, "1024 PiB"),
    ],
)
def test_format_bytes_is_binary(size: float, text: str):
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("flops", "text"),
    [(7, "7 FLOP"), (1000, "1.00 kFLOP"), (98.24e9, "98.2 GFLOP"), (989.4e12, "989 TFLOP")],
)
def test_format_flops_is_decimal(flops: float, text: str):
    assert format_flops(flops) == text


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 us"),
        (0.5, "0.50 us"),
        (12.34, "12.3 us"),
        (4200, "4.20 ms"),
        (3e6, "3.00 s"),
        (7.2e9, "7200 s"),
    ],
)
def test_format_us(us: float, text: str):
    assert format_us(us) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1GiB", 2**30),
        ("80 GiB", 80 * 2**30),
        ("24GB", 24 * 10**9),
        ("1.5 kB", 1500),
        ("2 tib", 2 * 2**40),
        ("4096", 4096),
        ("85_899_345_920 B", 80 * 2**30),
    ],
)
def test_parse_bytes(text: str, size: int):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "12 GFLOP", "1e9", "-5 GB", "i B", "7 iB"])
def test_parse_bytes_refuses(text: str):
    with pytest.raises(UsageError, match="is not a size"):
        parse_bytes(text)


@given(st.integers(0, 2**53))
def test_bytes_written_plainly_are_read_exactly(size: int):
    assert parse_bytes(f"{size} B") == size
