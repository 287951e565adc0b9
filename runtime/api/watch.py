"""A training step that is predicted before it runs for the first time, and compared afterwards."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

import torch
from torch.utils._pytree import tree_leaves

from steelyard.passes.annotate.target import Target
from steelyard.runtime.api.results import Result, Weighing
from steelyard.runtime.api.weighing import annotate
from steelyard.runtime.execute.comparison import Comparison
from steelyard.runtime.report.tables import format_aligned
from steelyard.runtime.timing.steady_state import measure_peak_bytes

Step = Callable[[torch.nn.Module, Any], Any]


@dataclass(frozen=True)
class Watched(Result):
    """Predicted and measured time and peak memory of a training step.

    Attributes:
        step_time_ms: The median of the timed steps.
        peak_memory_bytes: Of tensors, as the allocator counts them.
        steps: Number of timed steps.
    """

    step_time_ms: Comparison
    peak_memory_bytes: Comparison
    steps: int

    def __str__(self) -> str:
        rows = [
            [name, f"{each.predicted:.4g}", f"{each.measured:.4g}", f"{each.ratio:.3f}"]
            for name, each in (("step time, ms", self.step_time_ms), ("peak, bytes", self.peak_memory_bytes))
        ]
        return format_aligned(("", "predicted", "measured", "ratio"), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return both comparisons."""
        return {
            "step_time_ms": self.step_time_ms.to_json(),
            "peak_memory_bytes": self.peak_memory_bytes.to_json(),
            "steps": self.steps,
        }


class Watch:
    """A step function `step(model, batch)` under watch; called like it, and usable in a `with` statement.

    The first call predicts, from a recording that changes neither weights nor optimizer. The second measures
    memory and the later ones time. The comparison is shown when the `with` ends; `result` has it at any time.
    Rank 0 alone prints.
    """

    def __init__(self, step: Step, target: str | Target, optimizer: torch.optim.Optimizer | None) -> None:
        self._step = step
        self._target = target
        self._own: dict[str, Any] = {} if optimizer is None else {"optimizer": optimizer}
        self._times_s: list[float] = []
        self._peak_bytes: int | None = None
        self.prediction: Weighing | None = None

    def __call__(self, model: torch.nn.Module, batch: Any) -> Any:
        """Run the step and return its result."""
        if self.prediction is None:
            self.prediction = annotate(
                model, inputs=batch, step=self._step, target=self._target, by="phase", **self._own
            )
            _show(self.prediction)
            return self._step(model, batch)
        is_cuda = any(p.is_cuda for p in model.parameters())
        if self._peak_bytes is None:
            return self._measure_memory(model, batch, is_cuda)
        if is_cuda:
            torch.cuda.synchronize()
        start_s = time.perf_counter()
        result = self._step(model, batch)
        if is_cuda:
            torch.cuda.synchronize()
        self._times_s.append(time.perf_counter() - start_s)
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None and self.result is not None:
            _show(self.result)

    @property
    def result(self) -> Watched | None:
        """The comparison; None before the third call."""
        if self.prediction is None or self._peak_bytes is None or not self._times_s:
            return None
        value_ms, low_ms, high_ms = (each / 1e3 for each in self.prediction.summary.latency_us)
        return Watched(
            Comparison(value_ms, median(self._times_s) * 1e3, low_ms, high_ms),
            Comparison(self.prediction.summary.memory.bytes, self._peak_bytes),
            len(self._times_s),
        )

    def _measure_memory(self, model: torch.nn.Module, batch: Any, is_cuda: bool) -> Any:
        result: list[Any] = []

        def run() -> None:
            result.append(self._step(model, batch))

        if is_cuda:
            torch.cuda.reset_peak_memory_stats()
            run()
            self._peak_bytes = torch.cuda.max_memory_allocated()
        else:
            self._peak_bytes = measure_peak_bytes(run, self._resident(model, batch))
        return result[0]

    def _resident(self, model: torch.nn.Module, batch: Any) -> list[torch.Tensor]:
        """The tensors that are there before a step, the state of its optimizer included."""
        from steelyard.compiler.frontend.live_model import find_optimizer

        optimizer = find_optimizer(self._step, self._own.get("optimizer"))
        state = list(optimizer.state.values()) if optimizer else []
        gradients = [each.grad for each in model.parameters()]
        held = [*model.parameters(), *gradients, *model.buffers(), *tree_leaves(state), *tree_leaves(batch)]
        return [each for each in held if isinstance(each, torch.Tensor)]


def watch(
    step: Step | None = None, *, target: str | Target = "cpu", optimizer: torch.optim.Optimizer | None = None
) -> Any:
    """Watch a training step `step(model, batch)`, as a decorator or in a `with` statement.

    Args:
        step: The step; as a decorator it is not given.
        target: The device to predict for.
        optimizer: The optimizer that the step runs; by default the one that it closes over.

    Raises:
        SteelyardError: At the first call, if the step cannot be captured.
    """
    if step is None:
        return lambda function: Watch(function, target, optimizer)
    return Watch(step, target, optimizer)


def _show(result: Result) -> None:
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(f"{result}\n")
