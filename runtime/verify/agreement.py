"""Agreement of a program's results with those of eager PyTorch."""

from collections.abc import Mapping, Sequence

import torch

from steelyard.compiler.frontend.model import BuiltModel

_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Tolerance of a rewritten program's result, relative to its largest element: rounding in another order."""
_SMALLEST = 1e-3
"""No result is measured by less than this part of the largest: the gradient of a key's bias, for one, is
zero but for rounding."""


def disagreements(
    eager: BuiltModel,
    expected: Mapping[str, torch.Tensor],
    built: BuiltModel,
    results: Sequence[torch.Tensor],
    *,
    rewritten: bool,
) -> dict[str, float]:
    """The largest difference of each result and updated parameter that is not as it must be.

    Args:
        eager: The model after the step of eager PyTorch.
        expected: The results of that step by name.
        built: The model after the step of the program.
        results: The results of the program, in the order of `expected`.
        rewritten: Whether passes changed the program. Results must then agree within the rounding of their
            dtype instead of bit for bit; a parameter only where its gradient is equal, since optimizers such
            as Adam turn the rounding of a gradient near zero into a whole step.
    """
    pairs = dict(zip(expected, zip(expected.values(), results, strict=True), strict=True))
    ours = dict(built.module.named_parameters())
    for path, parameter in eager.module.named_parameters():
        gradients = pairs.get(f"grad:{path}")
        if not rewritten or gradients is None or torch.equal(*gradients):
            pairs[f"updated:{path}"] = (parameter.detach(), ours[path].detach())
    largest = max((_size(one) for one, _ in pairs.values()), default=0.0)
    return {
        name: _size(_wide(one) - _wide(other))
        for name, (one, other) in pairs.items()
        if not torch.equal(one, other) and not (rewritten and _is_near(one, other, _SMALLEST * largest))
    }


def _is_near(one: torch.Tensor, other: torch.Tensor, least: float) -> bool:
    tolerance = _TOLERANCE.get(one.real.dtype if one.is_complex() else one.dtype, 0.0)
    return _size(_wide(one) - _wide(other)) <= tolerance * max(_size(one), least)


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def _size(tensor: torch.Tensor) -> float:
    """The largest absolute value; 0 of a tensor without elements."""
    return _wide(tensor).abs().max().item() if tensor.numel() else 0.0
