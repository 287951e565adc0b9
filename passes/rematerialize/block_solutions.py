"""Ways to keep, to move and to run again within one block: a small set, from all kept to the least."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from steelyard.passes.solvers.integer_program import IntegerProgram

_STEPS = 12
"""Amounts of kept bytes for which the cheapest way is sought."""

_TIE = 1e-4
"""Weight of a block's bytes against its time: of two ways equally fast, the one that keeps less."""

_SCALE = 1e4
"""Of the weights, so that the solver's absolute tolerance of 1e-6 is far below the least of them."""


class LocalRead(NamedTuple):
    """A value that is read: the op of the block that made it, and its storage.

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
        makers: The op of the block that made each storage; None for those of another block.
        stays: Storages that are there for the backward whatever is chosen.
        pinned: Storages that no op makes as they are.
        wanted: What the backward reads.
        copy_us: What a copy of each storage to the host takes; empty where nothing can move.
    """

    cost_us: tuple[float, ...]
    repeatable: tuple[bool, ...]
    intensive: tuple[bool, ...]
    reads: tuple[tuple[LocalRead, ...], ...]
    sizes: tuple[int, ...]
    makers: tuple[int | None, ...]
    stays: frozenset[int]
    pinned: frozenset[int]
    wanted: tuple[LocalRead, ...]
    copy_us: tuple[float, ...] = ()


class Mode(NamedTuple):
    """The storages of a block that stay and that move, the bytes that stay, and what the mode takes."""

    kept: frozenset[int]
    moved: frozenset[int]
    bytes: int
    cost_us: float


def find_modes(problem: BlockProblem) -> list[Mode]:
    """The fastest ways at evenly spaced amounts of kept bytes, from the fastest to the least."""
    fastest, least = _Ways(problem).fastest(), _Ways(problem).least()
    modes = [fastest]
    for step in range(1, _STEPS):
        limit = fastest.bytes + (least.bytes - fastest.bytes) * step / _STEPS
        if limit < modes[-1].bytes:
            modes.append(_Ways(problem).fastest(limit))
    if least.bytes < modes[-1].bytes:
        modes.append(_Ways(problem).fastest(least.bytes))
    return modes


def least_kept(problem: BlockProblem) -> Mode:
    """The least bytes that stay if no product, convolution or attention runs again, and nothing moves.

    The minimum cut of PyTorch's partitioner: torch/_functorch/partitioners.py, `compute_intensive_ops`.
    """
    again = zip(problem.repeatable, problem.intensive, strict=True)
    cheap = tuple(repeatable and not intensive for repeatable, intensive in again)
    return _Ways(replace(problem, repeatable=cheap, copy_us=())).least()


@dataclass(slots=True)
class _Ways:
    """The integer program of a block: which storages stay, which move, which ops run again.

    Copies go on beside the block's own ops in the forward; what takes longer is paid for.
    """

    problem: BlockProblem
    _program: IntegerProgram = field(default_factory=IntegerProgram)

    def fastest(self, limit_bytes: float | None = None) -> Mode:
        """The way of least time that keeps no more than a limit."""
        return self._solve(_SCALE * _TIE, _SCALE, limit_bytes)

    def least(self) -> Mode:
        """The way of least bytes."""
        return self._solve(_SCALE, _SCALE * _TIE, None)

    def _solve(self, weight_bytes: float, weight_us: float, limit_bytes: float | None) -> Mode:
        problem, program = self.problem, self._program
        whole_bytes, whole_us = sum(problem.sizes) or 1, sum(problem.cost_us) or 1.0
        stays = [program.add_choice(weight_bytes * size / whole_bytes) for size in problem.sizes]
        runs = {
            index: program.add_choice(weight_us * (cost / whole_us + _TIE))
            for index, cost in enumerate(problem.cost_us)
            if problem.repeatable[index]
        }
        # Of two ways equally fast, the one that moves less, whatever stays.
        moves = {
            storage: program.add_choice(2 * _SCALE * _TIE * problem.sizes[storage] / whole_bytes)
            for storage in range(len(problem.copy_us))
            if storage not in problem.pinned and problem.makers[storage] is not None
        }
        waits = program.add_amount(weight_us)
        copies = {number: problem.copy_us[storage] / whole_us for storage, number in moves.items()}
        program.require_at_most({**copies, waits: -1.0}, 1.0)
        self._require(stays, runs, moves)
        if limit_bytes is not None:
            terms = {number: size / whole_bytes for number, size in zip(stays, problem.sizes, strict=True)}
            program.require_at_most(terms, limit_bytes / whole_bytes)
        found = program.solve()
        assert found is not None, "to keep all is a way, and the least is known"
        kept = frozenset(storage for storage, number in enumerate(stays) if found[number] > 0.5)
        return Mode(
            kept,
            frozenset(storage for storage, number in moves.items() if found[number] > 0.5) - kept,
            sum(problem.sizes[storage] for storage in kept),
            sum(problem.cost_us[index] for index, number in runs.items() if found[number] > 0.5)
            + found[waits] * whole_us,
        )

    def _require(self, stays: Sequence[int], runs: dict[int, int], moves: dict[int, int]) -> None:
        problem, program = self.problem, self._program

        def ways(read: LocalRead) -> dict[int, float]:
            found = {stays[read.storage]: 1.0}
            if read.maker in runs and read.storage not in problem.pinned:
                found[runs[read.maker]] = 1.0
            if read.storage in moves and read.maker == problem.makers[read.storage]:
                found[moves[read.storage]] = 1.0
            return found

        for storage in problem.stays:
            program.require_at_least(
                dict.fromkeys((stays[storage], moves.get(storage, stays[storage])), 1.0), 1.0
            )
        for read in problem.wanted:
            program.require_at_least(ways(read), 1.0)
        for index, number in runs.items():
            for read in problem.reads[index]:
                program.require_at_least({**ways(read), number: -1.0}, 0.0)
