"""Convolutions by a few sizes, for the tests of each library's scratch."""

from collections.abc import Callable

import pytest

from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.scratch.convolution import Convolution


def _convolution(
    channels: int = 64,
    filters: int = 64,
    *,
    groups: int = 1,
    side: int = 56,
    window: int = 3,
    stride: int = 1,
    batch: int = 8,
    half: bool = False,
    channels_last: bool = False,
    threads: int = 2,
    instruction_set: InstructionSet = "avx512",
) -> Convolution:
    return Convolution(
        batch=batch,
        in_channels=channels,
        out_channels=filters,
        groups=groups,
        image=(side, side),
        result=(side // stride, side // stride),
        window=(window, window),
        stride=(stride, stride),
        padding=(window // 2,) * 2,
        dilation=(1, 1),
        item_bytes=2 if half else 4,
        threads=threads,
        instruction_set=instruction_set,
        channels_last=channels_last,
    )


@pytest.fixture
def convolution() -> Callable[..., Convolution]:
    return _convolution
