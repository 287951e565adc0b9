"""Fusion detection on this machine, within a time budget."""

# pyright: standard

from collections.abc import Callable, Sequence
from datetime import date
from time import perf_counter

import torch

from steelyard.hw.base.progress import Progress
from steelyard.runtime.detect_fusion.executors import Executor, PairTimer
from steelyard.runtime.detect_fusion.pair_timing import Pair, Verdict, decide_pairs
from steelyard.runtime.timing.host_cpu import cpu_model

_PREPARING = 0.7
"""The part of the budget after which no more programs are compiled."""


def detect_here(
    pairs: Sequence[Pair],
    executor: Executor,
    budget_s: float,
    progress: Progress,
    warn: Callable[[str], None],
) -> list[Verdict]:
    """Return the verdicts on pairs on this machine's CPU.

    Args:
        pairs: The pairs; those that cannot be compiled in time are left out.
        executor: Runs the ops.
        budget_s: Time budget in seconds.
        progress: Called before each step.
        warn: Called if pairs are left out.

    Raises:
        ExecutionError: TorchInductor finds no C++ compiler.
    """
    start_s, timer = perf_counter(), PairTimer(executor)
    ready: list[Pair] = []
    for pair in pairs:
        if perf_counter() > start_s + _PREPARING * budget_s:
            warn(
                f"{len(pairs) - len(ready)} pairs were not tested, since there was no time to compile them; "
                "run it again, as Inductor keeps what it compiled, or take a larger --budget"
            )
            break
        progress(len(ready), len(pairs), f"preparing {pair.first} {pair.second}")
        timer.prepare(pair)
        ready.append(pair)
    return decide_pairs(ready, timer, enough=lambda: perf_counter() > start_s + budget_s, progress=progress)


def this_machine(executor: Executor) -> dict[str, str | int]:
    """Return the conditions of a measurement."""
    return {
        "executor": executor,
        "device": cpu_model(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
    }
