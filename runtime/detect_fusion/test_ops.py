"""Test ops of pairs, at sizes where a kernel takes longer than its call."""

# pyright: standard

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.runtime.detect_fusion.pair_timing import Pair

aten = torch.ops.aten
Shape = tuple[int, ...]
Input = Literal["image", "rows"]

_ROW = 32
INPUT_SHAPES: dict[Input, Shape] = {"image": (32, 16, 28, 28), "rows": (12544, _ROW)}
"""nn-Meter's image of 16 channels and 28 pixels a side, at a batch where its 401,408 elements keep a
pointwise kernel busy for many times its call; as many in rows. Both are narrow, and the convolution is one of
single points, so that no op takes so much longer than another that its noise hides what fusing saves."""


@dataclass(frozen=True, slots=True)
class OpKind:
    """A test op and its arguments.

    Attributes:
        op: The operation.
        inputs: Inputs that it accepts.
        operands: Its other tensors for an input of a shape; inputs too, since a compiler may fold constants.
        arguments: All arguments from the shape of the input, the input and the other tensors.
        several: Whether it returns several results, of which the first is read.
    """

    op: Any
    inputs: tuple[Input, ...]
    operands: Callable[[Shape], tuple[Tensor, ...]] = lambda shape: ()
    arguments: Callable[..., tuple[Any, ...]] = lambda shape, *tensors: tensors
    several: bool = False


def all_pairs(names: Sequence[str] = ()) -> list[Pair]:
    """Return every ordered pair of the ops, or of all ops where none is named, that read the same input.

    Raises:
        UsageError: A name is not a tested op.
    """
    for name in names:
        if name not in OP_KINDS:
            raise UsageError(what=f"{name!r} is not tested", where="--op", fix=did_you_mean(name, OP_KINDS))
    chosen = [name for name in OP_KINDS if not names or name in names]
    return list(_pairs(chosen))


def _pairs(names: Sequence[str]) -> Iterator[Pair]:
    for first in names:
        for second in names:
            if shared_input(Pair(first, second)):
                yield Pair(first, second)


def shared_input(pair: Pair) -> Input | None:
    """Return an input that both ops of a pair accept, None if there is none."""
    first, second = OP_KINDS[pair.first].inputs, OP_KINDS[pair.second].inputs
    return next((each for each in first if each in second), None)


def _like(shape: Shape) -> tuple[Tensor, ...]:
    return (torch.rand(shape),)


def _vectors(count: int, dim: int) -> Callable[[Shape], tuple[Tensor, ...]]:
    return lambda shape: tuple(torch.rand(shape[dim]) for _ in range(count))


_BOTH: tuple[Input, ...] = ("image", "rows")

OP_KINDS: dict[str, OpKind] = {
    "aten.convolution": OpKind(
        aten.convolution.default,
        ("image",),
        lambda shape: (torch.rand(shape[1], shape[1], 1, 1),),
        lambda shape, x, weight: (x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    ),
    "aten.max_pool2d_with_indices": OpKind(
        aten.max_pool2d_with_indices.default,
        ("image",),
        arguments=lambda shape, x: (x, [3, 3], [1, 1], [1, 1]),
        several=True,
    ),
    "aten.native_batch_norm": OpKind(
        aten.native_batch_norm.default,
        ("image",),
        _vectors(4, 1),
        lambda shape, x, *vectors: (x, *vectors, False, 0.1, 1e-5),
        several=True,
    ),
    "aten.addmm": OpKind(
        aten.addmm.default,
        ("rows",),
        lambda shape: (torch.rand(_ROW), torch.rand(shape[1], _ROW)),
        lambda shape, x, bias, weight: (bias, x, weight),
    ),
    "aten.native_layer_norm": OpKind(
        aten.native_layer_norm.default,
        ("rows",),
        _vectors(2, 1),
        lambda shape, x, scale, shift: (x, [shape[1]], scale, shift, 1e-5),
        several=True,
    ),
    "aten._softmax": OpKind(aten._softmax.default, ("rows",), arguments=lambda shape, x: (x, -1, False)),
    "aten.relu": OpKind(aten.relu.default, _BOTH),
    "aten.gelu": OpKind(aten.gelu.default, _BOTH),
    "aten.add.Tensor": OpKind(aten.add.Tensor, _BOTH, _like),
    "aten.cat": OpKind(aten.cat.default, _BOTH, _like, lambda shape, x, other: ([x, other], 1)),
}
"""By the name that the op has in the IR."""
