"""Adaptive sampling of kernels where the regressor is wrong (nn-Meter, MobiSys 2021)."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import numpy as np

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import conformal_spread
from steelyard.hw.devices.learned_models import Learned
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.latency.learned_rung import learned_s
from steelyard.runtime.learn.accuracy import accuracy
from steelyard.runtime.learn.fit import fit_regressor
from steelyard.runtime.learn.kernel_families import Config, KernelFamily
from steelyard.runtime.learn.sample import Sampler
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

MeasureKernels = Callable[[Sequence[Microbenchmark]], Sequence[float]]
"""Times kernels, interleaved: the seconds of each."""

LEAST_KERNELS = 45
_FROM_MODELS = 0.6
_HELD_OUT_EVERY = 3
_FOLDS = 3
_LARGE_ERROR = 0.10
_ROUNDS = 4
"""Rounds of fitting and sampling where the fit is wrong."""
_BATCH = 48
"""Kernels that are timed interleaved; more would take too much memory."""


def learn(
    family: KernelFamily,
    shapes: Sequence[Config],
    measure: MeasureKernels,
    kernels: int,
    threads: int,
    source: Source,
    *,
    enough: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> Learned:
    """Measure kernels and fit a regressor to them.

    Three fifths are kernels of models, every other one with other sizes. A third of those is held out and
    measured again at the end; the shorter time counts, since disturbances only make a kernel slower. The rest
    are neighbours of training kernels that cross-validation predicts with an error above 10%; these are
    determined, and measured again, in every round.

    Args:
        family: The kernel family.
        shapes: Kernels of models.
        measure: Times kernels.
        kernels: Number of kernels to measure, at least `LEAST_KERNELS`.
        threads: CPU threads that they run with.
        source: Source of the measurements.
        enough: Whether to stop sampling early; called once `LEAST_KERNELS` are measured.
        progress: Called before every batch.

    Raises:
        UsageError: There are too few kernels, or scikit-learn is missing.
    """
    if kernels < LEAST_KERNELS:
        raise UsageError(
            what=f"{kernels} kernels of {family.name} are too few to fit and check",
            why=f"it takes {LEAST_KERNELS}",
            fix="take a larger --budget, or fewer kinds with --kind",
        )
    sampler = Sampler(family, shapes, Random(0))
    measuring = _Measuring(family, measure, kernels, enough, progress)
    found = measuring.run([sampler.from_models() for _ in range(round(kernels * _FROM_MODELS))])
    held_out = dict(list(found.items())[::_HELD_OUT_EVERY])
    seen = {config: time_s for config, time_s in found.items() if config not in held_out}
    size = -(-(kernels - len(found)) // _ROUNDS)
    for _ in range(_ROUNDS):
        if enough():
            break
        wrong = _checked_again(measuring, seen, _badly_predicted(family, seen))
        seen |= measuring.run([_another(sampler, wrong) for _ in range(size)])
    return _finished(family, seen, held_out, measuring.again(list(held_out)), threads, source)


class _Measuring:
    """Measurement of kernels batch by batch."""

    def __init__(
        self,
        family: KernelFamily,
        measure: MeasureKernels,
        kernels: int,
        enough: Callable[[], bool],
        progress: Progress | None,
    ) -> None:
        self._family, self._measure, self._enough, self._progress = family, measure, enough, progress
        self._done, self._total = 0, kernels

    def run(self, configs: Sequence[Config]) -> dict[Config, float]:
        """Return the seconds of kernels, or of the first ones if time runs out."""
        found: dict[Config, float] = {}
        for batch in _batches(configs):
            if self._done >= LEAST_KERNELS and self._enough():
                break
            found |= self.again(batch)
            self._done += len(batch)
        return found

    def again(self, configs: Sequence[Config]) -> dict[Config, float]:
        """Return the seconds of kernels without counting them as done."""
        found: dict[Config, float] = {}
        for batch in _batches(configs):
            if self._progress:
                self._progress(self._done, max(self._total, self._done), self._family.name)
            times_s = self._measure([self._family.microbenchmark(config) for config in batch])
            found |= dict(zip(batch, times_s, strict=True))
        return found


def _batches(configs: Sequence[Config]) -> Iterator[Sequence[Config]]:
    for start in range(0, len(configs), _BATCH):
        yield configs[start : start + _BATCH]


def _another(sampler: Sampler, wrong: Sequence[Config]) -> Config:
    return sampler.near(sampler.random.choice(wrong)) if wrong else sampler.from_models()


def _badly_predicted(family: KernelFamily, seen: dict[Config, float]) -> list[Config]:
    """Return the kernels that cross-validation predicts with a large error."""
    configs, time_s = list(seen), np.array(list(seen.values()))
    fold = np.arange(len(configs)) % _FOLDS
    error = np.empty(len(configs))
    for each in range(_FOLDS):
        others = [config for config, of in zip(configs, fold, strict=True) if of != each]
        left_out = [config for config, of in zip(configs, fold, strict=True) if of == each]
        regressor = fit_regressor(family.queries(others), time_s[fold != each])
        predicted_s = learned_s(regressor, family.kind, "f32", family.dims(left_out))
        error[fold == each] = np.abs(predicted_s / time_s[fold == each] - 1)
    return [config for config, off in zip(configs, error, strict=True) if off > _LARGE_ERROR]


def _checked_again(
    measuring: "_Measuring", seen: dict[Config, float], wrong: Sequence[Config]
) -> list[Config]:
    """Measure kernels again, keep the shorter times in `seen`, and return those whose first time was right.

    A kernel that looks hard to predict was often disturbed by another process, and would attract all samples.
    """
    again = measuring.again(wrong)
    steady = [config for config in wrong if again[config] > (1 - _LARGE_ERROR) * seen[config]]
    seen |= {config: min(time_s, seen[config]) for config, time_s in again.items()}
    return steady


def _finished(
    family: KernelFamily,
    seen: dict[Config, float],
    held_out: dict[Config, float],
    repeated: dict[Config, float],
    threads: int,
    source: Source,
) -> Learned:
    regressor = fit_regressor(family.queries(list(seen)), _seconds(seen))
    predicted_s = learned_s(regressor, family.kind, "f32", family.dims(list(held_out)))
    measured_s = np.minimum(_seconds(held_out), _seconds(repeated))
    sizes = list(zip(*seen, strict=True))
    return Learned(
        source=source,
        threads=threads,
        rows=len(seen),
        held_out=accuracy(predicted_s, measured_s),
        repeats=accuracy(_seconds(repeated), _seconds(held_out)),
        smallest=tuple(min(each) for each in sizes),
        largest=tuple(max(each) for each in sizes),
        regressor=regressor,
        spread=conformal_spread(predicted_s, measured_s),
    )


def _seconds(found: dict[Config, float]) -> Floats:
    return np.array(list(found.values()))
