"""The kinds of ops that are paired, at sizes where a kernel takes longer than its call."""

# pyright: standard

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from steelyard.hw.errors import UsageError, did_you_mean
from steelyard.runtime.detect_fusion.rules import Pair

Shape = tuple[int, ...]
Input = Literal["image", "rows"]

INPUT_SHAPES: dict[Input, Shape] = {"image": (32, 16, 28, 28), "rows": (2048, 192)}
"""nn-Meter's image of 16 channels and 28 pixels a side, at a batch where its 401,408 elements take a
pointwise kernel tens of microseconds; about as many in rows."""


@dataclass(frozen=True, slots=True)
class Stage:
    """An op with its operands.

    Attributes:
        run: A function of its input and its operands.
        operands: Weights, or the other summand; inputs of a program, since a compiler may fold constants.
    """

    run: Callable[..., Tensor]
    operands: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class OpKind:
    """A kind of op.

    Attributes:
        inputs: What it reads.
        make: Makes one for an input of a shape.
    """

    inputs: tuple[Input, ...]
    make: Callable[[Shape], Stage]


def all_pairs(names: Sequence[str]) -> Iterator[Pair]:
    """Yield every ordered pair of the kinds, or of all kinds where none is named, whose inputs agree.

    Raises:
        UsageError: A name is none of a kind.
    """
    for name in names:
        if name not in OP_KINDS:
            raise UsageError(what=f"no kind of op is named {name!r}", fix=did_you_mean(name, OP_KINDS))
    chosen = [name for name in OP_KINDS if not names or name in names]
    for producer in chosen:
        for consumer in chosen:
            if shared_input(producer, consumer):
                yield Pair(producer, consumer)


def shared_input(producer: str, consumer: str) -> Input | None:
    """Return what both kinds read, None if there is nothing."""
    shared: list[Input] = [each for each in OP_KINDS[producer].inputs if each in OP_KINDS[consumer].inputs]
    return shared[0] if shared else None


def _conv2d(shape: Shape) -> Stage:
    weight = torch.rand(shape[1], shape[1], 3, 3)
    return Stage(lambda x, weight: functional.conv2d(x, weight, padding=1), (weight,))


def _depthwise(shape: Shape) -> Stage:
    weight = torch.rand(shape[1], 1, 3, 3)
    return Stage(lambda x, weight: functional.conv2d(x, weight, padding=1, groups=len(weight)), (weight,))


def _batch_norm(shape: Shape) -> Stage:
    mean, variance, scale, shift = (torch.rand(shape[1]) for _ in range(4))
    return Stage(functional.batch_norm, (mean, variance, scale, shift))


def _layer_norm(shape: Shape) -> Stage:
    width = shape[-1:]
    return Stage(lambda x, *affine: functional.layer_norm(x, width, *affine), (torch.rand(width),) * 2)


def _linear(shape: Shape) -> Stage:
    return Stage(functional.linear, (torch.rand(shape[-1], shape[-1]), torch.rand(shape[-1])))


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Shape], Stage]:
    return lambda shape: Stage(function)


def _with_other(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Shape], Stage]:
    return lambda shape: Stage(function, (torch.rand(shape),))


OP_KINDS = {
    "conv2d": OpKind(("image",), _conv2d),
    "dwconv2d": OpKind(("image",), _depthwise),
    "max_pool2d": OpKind(("image",), _unary(lambda x: functional.max_pool2d(x, 3, 1, 1))),
    "avg_pool2d": OpKind(("image",), _unary(lambda x: functional.avg_pool2d(x, 3, 1, 1))),
    "batch_norm": OpKind(("image",), _batch_norm),
    "linear": OpKind(("rows",), _linear),
    "layer_norm": OpKind(("rows",), _layer_norm),
    "softmax": OpKind(("rows",), _unary(lambda x: functional.softmax(x, -1))),
    "relu": OpKind(("image", "rows"), _unary(torch.relu)),
    "gelu": OpKind(("image", "rows"), _unary(functional.gelu)),
    "sigmoid": OpKind(("image", "rows"), _unary(torch.sigmoid)),
    "hardswish": OpKind(("image", "rows"), _unary(functional.hardswish)),
    "add": OpKind(("image", "rows"), _with_other(torch.add)),
    "mul": OpKind(("image", "rows"), _with_other(torch.mul)),
    "concat": OpKind(("image", "rows"), _with_other(lambda x, other: torch.cat([x, other], 1))),
}
