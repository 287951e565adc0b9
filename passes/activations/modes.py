"""Ways to keep and to run again within one block: a small set, from all kept to the least."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from steelyard.passes.solver import BinaryProgram

_STEPS = 12
"""Amounts of kept bytes for which the cheapest way is sought."""

_TIE = 1e-4
"""Weight of a block's bytes against its time: of two ways equally fast, the one that keeps less."""

_SCALE = 1e4
"""Of the weights, so that the solver's absolute tolerance of 1e-6 is far below the least of them."""


class LocalRead(NamedTuple):
    """A value that is read: the op of the block that made it, and its storage; None where it is there anyway.

    What another block made, and does not stay by itself, has a storage and no maker.
    """

    maker: int | None
    storage: int


@dataclass(frozen=True, slots=True)
class BlockProblem:
    """What there is to choose in a block, in numbers of its own, so that equal blocks are equal problems.

    Attributes:
        cost_us: What each op takes.
        repeatable: Whether an op may run again.
        intensive: Whether it is a product, a convolution or an attention.
        reads: What each op reads that is not there anyway.
        sizes: Bytes of each storage.
        stays: Storages that stay whatever is chosen.
        pinned: Storages that no op makes as they are.
        wanted: What the backward reads.
    """

    cost_us: tuple[float, ...]
    repeatable: tuple[bool, ...]
    intensive: tuple[bool, ...]
    reads: tuple[tuple[LocalRead, ...], ...]
    sizes: tuple[int, ...]
    stays: frozenset[int]
    pinned: frozenset[int]
    wanted: tuple[LocalRead, ...]


class Mode(NamedTuple):
    """The storages of a block that stay, their bytes, and what the ops take that run again."""

    kept: frozenset[int]
    bytes: int
    cost_us: float


def find_modes(problem: BlockProblem) -> list[Mode]:
    """The fastest ways to recompute at evenly spaced amounts of kept bytes, from the fastest to the least."""
    fastest, least = _solve(problem, least=False), _solve(problem, least=True)
    modes = [fastest]
    for step in range(1, _STEPS):
        limit = fastest.bytes + (least.bytes - fastest.bytes) * step / _STEPS
        if limit < modes[-1].bytes:
            modes.append(_solve(problem, least=False, limit_bytes=limit))
    if least.bytes < modes[-1].bytes:
        modes.append(_solve(problem, least=False, limit_bytes=least.bytes))
    return modes


def least_kept(problem: BlockProblem) -> Mode:
    """The least bytes that stay if no product, convolution or attention runs again.

    The minimum cut of PyTorch's partitioner: torch/_functorch/partitioners.py, `compute_intensive_ops`.
    """
    return _solve(problem, least=True, again=[not each for each in problem.intensive])


def _solve(
    problem: BlockProblem, *, least: bool, limit_bytes: float | None = None, again: Sequence[bool] = ()
) -> Mode:
    """The way of least time, or of least bytes, that keeps no more than a limit."""
    whole_bytes, whole_us = sum(problem.sizes) or 1, sum(problem.cost_us) or 1.0
    weight_bytes, weight_us = (_SCALE, _SCALE * _TIE) if least else (_SCALE * _TIE, _SCALE)
    program = BinaryProgram()
    stays = [program.add_variable(weight_bytes * size / whole_bytes) for size in problem.sizes]
    runs = {
        index: program.add_variable(weight_us * (cost / whole_us + _TIE))
        for index, cost in enumerate(problem.cost_us)
        if problem.repeatable[index] and (not again or again[index])
    }

    def ways(read: LocalRead) -> dict[int, float]:
        remade = read.maker in runs and read.storage not in problem.pinned
        found = {stays[read.storage]: 1.0}
        return {**found, runs[read.maker]: 1.0} if remade and read.maker is not None else found

    for storage in problem.stays:
        program.require_at_least({stays[storage]: 1.0}, 1.0)
    for read in problem.wanted:
        program.require_at_least(ways(read), 1.0)
    for index, number in runs.items():
        for read in problem.reads[index]:
            program.require_at_least({**ways(read), number: -1.0}, 0.0)
    if limit_bytes is not None:
        terms = {number: size / whole_bytes for number, size in zip(stays, problem.sizes, strict=True)}
        program.require_at_most(terms, limit_bytes / whole_bytes)
    chosen = program.solve()
    assert chosen is not None, "to keep all is a way, and the least is known"
    kept = frozenset(storage for storage, number in enumerate(stays) if chosen[number])
    return Mode(
        kept,
        sum(problem.sizes[storage] for storage in kept),
        sum(problem.cost_us[index] for index, number in runs.items() if chosen[number]),
    )
