"""Affine indices of the windows of convolutions and pools."""

from collections.abc import Sequence
from typing import Any

from steelyard.compiler.semantics.call import OpCall


def per_dim(value: Any, rank: int, default: Sequence[int]) -> Sequence[int]:
    """Return an argument such as `stride` for each spatial dim; one number stands for all."""
    if isinstance(value, int):
        return [value] * rank
    if not value or isinstance(value, str):
        return default
    return [*value, *[value[0]] * (rank - len(value))]


def window_terms(
    call: OpCall, places: Sequence[str], taps: Sequence[str], default_stride: Sequence[int] = ()
) -> list[str]:
    """Return the index `place * stride + tap * dilation - padding` for each spatial dim.

    Args:
        call: Its arguments `stride`, `dilation` and `padding` count.
        places: The dims of the windows.
        taps: The dims inside of a window.
        default_stride: That of a call which gives none; 1 by default.
    """
    rank = len(places)
    ones = [1] * rank
    strides = per_dim(call.properties.get("stride"), rank, default_stride or ones)
    dilations = per_dim(call.properties.get("dilation"), rank, ones)
    paddings = per_dim(call.properties.get("padding"), rank, [0] * rank)
    return [
        f"{_scaled(place, stride)}+{_scaled(tap, dilation)}" + (f"-{padding}" if padding else "")
        for place, tap, stride, dilation, padding in zip(
            places, taps, strides, dilations, paddings, strict=True
        )
    ]


def _scaled(dim: str, step: int) -> str:
    return dim if step == 1 else f"{dim}*{step}"
