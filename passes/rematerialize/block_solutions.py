"""Rematerialization of one block by integer programming: solutions from all saved to least saved."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from steelyard.passes.solvers.integer_program import IntegerProgram

_STEPS = 12
"""Number of memory limits that a block is solved for."""

_TIE = 1e-4
"""Tie-breaking weight: of two equally fast solutions, the one that saves fewer bytes."""

_SCALE = 1e4
"""Scale of the weights, so that the solver's absolute tolerance of 1e-6 is far below the smallest."""


class LocalRead(NamedTuple):
    """A value that is read: its producer in the block, and its storage.

    A value of another block that is not saved by itself has a storage and no producer.
    """

    maker: int | None
    storage: int


@dataclass(frozen=True, slots=True)
class BlockProblem:
    """The rematerialization problem of a block, in local indices, so that equal blocks are equal problems.

    Attributes:
        cost_us: Latency of each op.
        recomputable: Whether each op may be recomputed.
        intensive: Whether each op is a product, a convolution or an attention.
        reads: The values each op reads, without those that are always available.
        sizes: Bytes of each storage.
        makers: The op of the block that made each storage; None for those of another block.
        required: Storages that must be available to the backward: saved or offloaded.
        mutated: Storages that recomputation cannot restore, since they are written later.
        wanted: The values the backward reads.
        copy_us: Time of a copy of each storage to the host; empty where nothing can be offloaded.
    """

    cost_us: tuple[float, ...]
    recomputable: tuple[bool, ...]
    intensive: tuple[bool, ...]
    reads: tuple[tuple[LocalRead, ...], ...]
    sizes: tuple[int, ...]
    makers: tuple[int | None, ...]
    required: frozenset[int]
    mutated: frozenset[int]
    wanted: tuple[LocalRead, ...]
    copy_us: tuple[float, ...] = ()


class BlockSolution(NamedTuple):
    """The saved and the offloaded storages of a block, the bytes saved, and the cost."""

    saved: frozenset[int]
    offloaded: frozenset[int]
    bytes: int
    cost_us: float


def solve_block(problem: BlockProblem) -> list[BlockSolution]:
    """The fastest solutions under evenly spaced memory limits, from the fastest to the smallest."""
    fastest, least = _BlockProgram(problem).fastest(), _BlockProgram(problem).least()
    solutions = [fastest]
    for step in range(1, _STEPS):
        limit = fastest.bytes + (least.bytes - fastest.bytes) * step / _STEPS
        if limit < solutions[-1].bytes:
            solutions.append(_BlockProgram(problem).fastest(limit))
    if least.bytes < solutions[-1].bytes:
        solutions.append(_BlockProgram(problem).fastest(least.bytes))
    return solutions


def least_saved(problem: BlockProblem) -> BlockSolution:
    """The solution of least saved bytes without offload or recomputed products, convolutions or attention.

    The minimum cut of PyTorch's partitioner: torch/_functorch/partitioners.py, `compute_intensive_ops`.
    """
    ops = zip(problem.recomputable, problem.intensive, strict=True)
    cheap = tuple(recomputable and not intensive for recomputable, intensive in ops)
    return _BlockProgram(replace(problem, recomputable=cheap, copy_us=())).least()


@dataclass(slots=True)
class _BlockProgram:
    """The integer program of a block: a binary for each storage to save or offload and each op to recompute.

    Copies overlap with the block's own ops in the forward; only the excess is a cost.
    """

    problem: BlockProblem
    _program: IntegerProgram = field(default_factory=IntegerProgram)

    def fastest(self, limit_bytes: float | None = None) -> BlockSolution:
        """The fastest solution that saves at most a number of bytes."""
        return self._solve(_SCALE * _TIE, _SCALE, limit_bytes)

    def least(self) -> BlockSolution:
        """The solution of least saved bytes."""
        return self._solve(_SCALE, _SCALE * _TIE, None)

    def _solve(self, weight_bytes: float, weight_us: float, limit_bytes: float | None) -> BlockSolution:
        problem, program = self.problem, self._program
        whole_bytes, whole_us = sum(problem.sizes) or 1, sum(problem.cost_us) or 1.0
        saves = [program.add_choice(weight_bytes * size / whole_bytes) for size in problem.sizes]
        recomputes = {
            index: program.add_choice(weight_us * (cost / whole_us + _TIE))
            for index, cost in enumerate(problem.cost_us)
            if problem.recomputable[index]
        }
        # Of two equally fast solutions, the one that offloads less.
        offloads = {
            storage: program.add_choice(2 * _SCALE * _TIE * problem.sizes[storage] / whole_bytes)
            for storage in range(len(problem.copy_us))
            if storage not in problem.mutated and problem.makers[storage] is not None
        }
        waits = program.add_amount(weight_us)
        copies = {number: problem.copy_us[storage] / whole_us for storage, number in offloads.items()}
        program.require_at_most({**copies, waits: -1.0}, 1.0)
        self._require(saves, recomputes, offloads)
        if limit_bytes is not None:
            terms = {number: size / whole_bytes for number, size in zip(saves, problem.sizes, strict=True)}
            program.require_at_most(terms, limit_bytes / whole_bytes)
        found = program.solve()
        assert found is not None, "saving everything is feasible, and the limit is at least the minimum"
        saved = frozenset(storage for storage, number in enumerate(saves) if found[number] > 0.5)
        return BlockSolution(
            saved,
            frozenset(storage for storage, number in offloads.items() if found[number] > 0.5) - saved,
            sum(problem.sizes[storage] for storage in saved),
            sum(problem.cost_us[index] for index, number in recomputes.items() if found[number] > 0.5)
            + found[waits] * whole_us,
        )

    def _require(self, saves: Sequence[int], recomputes: dict[int, int], offloads: dict[int, int]) -> None:
        problem, program = self.problem, self._program

        def providers(read: LocalRead) -> dict[int, float]:
            found = {saves[read.storage]: 1.0}
            if read.maker in recomputes and read.storage not in problem.mutated:
                found[recomputes[read.maker]] = 1.0
            if read.storage in offloads and read.maker == problem.makers[read.storage]:
                found[offloads[read.storage]] = 1.0
            return found

        for storage in problem.required:
            program.require_at_least(
                dict.fromkeys((saves[storage], offloads.get(storage, saves[storage])), 1.0), 1.0
            )
        for read in problem.wanted:
            program.require_at_least(providers(read), 1.0)
        for index, number in recomputes.items():
            for read in problem.reads[index]:
                program.require_at_least({**providers(read), number: -1.0}, 0.0)
