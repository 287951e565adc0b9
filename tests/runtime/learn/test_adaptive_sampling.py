"""Learning on machines whose times are known exactly."""

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.quantity import Source
from steelyard.hw.latency.learned_rung import learned_s
from steelyard.runtime.learn.accuracy import accuracy
from steelyard.runtime.learn.adaptive_sampling import LEAST_KERNELS, learn
from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, Config
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark

SOURCE = Source(title="a machine", date=date(2026, 5, 4))
SHAPES = ((256, 128), (512, 64), (1024, 512), (64, 1024), (128, 4096))
SOFTMAX = KERNEL_FAMILIES["softmax"]
Machine = Callable[[int, int], float]


class Bench:
    """Measures on a machine whose times are a function of rows and columns."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.measured: list[Config] = []

    def __call__(self, benchmarks: Sequence[Microbenchmark]) -> list[float]:
        configs = [
            tuple(int(size.partition("=")[2]) for size in each.name.split()[1:]) for each in benchmarks
        ]
        self.measured += configs
        return [self.machine(*config) for config in configs]


def linear(rows: int, cols: int) -> float:
    return 2e-6 + 3e-10 * rows * cols


def test_a_machine_that_keeps_the_law_is_learned_exactly() -> None:
    found = learn(SOFTMAX, SHAPES, Bench(linear), 100, 2, SOURCE)
    assert found.held_out.kernels == 20
    assert found.rows == 80
    assert found.held_out.within_5_percent == 1
    assert found.held_out.rmspe < 0.01
    assert found.repeats.rmspe == 0
    other = SOFTMAX.dims([(300, 300)])
    assert learned_s(found.regressor, "softmax", "f32", other)[0] == pytest.approx(linear(300, 300), rel=0.02)


def test_trees_learn_what_no_law_says() -> None:
    def twice_as_slow_when_wide(rows: int, cols: int) -> float:
        return linear(rows, cols) * (1 + (cols > 400))

    found = learn(SOFTMAX, SHAPES, Bench(twice_as_slow_when_wide), 200, 2, SOURCE)
    assert found.held_out.within_10_percent > 0.9
    narrow, wide = learned_s(found.regressor, "softmax", "f32", SOFTMAX.dims([(500, 100), (500, 1000)]))
    assert wide / narrow == pytest.approx(2 * linear(500, 1000) / linear(500, 100), rel=0.15)


def test_more_kernels_are_measured_where_it_is_wrong() -> None:
    random = np.random.default_rng(0)

    def erratic_when_wide(rows: int, cols: int) -> float:
        return linear(rows, cols) * (random.uniform(0.3, 3) if cols > 2000 else 1)

    bench = Bench(erratic_when_wide)
    learn(SOFTMAX, SHAPES, bench, 150, 2, SOURCE)
    first, rest = bench.measured[:90], set(bench.measured[90:]) - set(bench.measured[:90])
    near_the_wide = [sum(cols > 800 for _, cols in part) / len(part) for part in (first, rest)]
    assert near_the_wide[0] < 0.45
    assert near_the_wide[1] > 1.4 * near_the_wide[0]


def test_kernels_held_out_are_measured_again_and_never_looked_at() -> None:
    calls = iter(range(10_000))
    found = learn(SOFTMAX, SHAPES, Bench(lambda rows, cols: 1e-4 * 1.001 ** next(calls)), 100, 2, SOURCE)
    # Every third of 60 kernels; the times of the second measurement are those of 100 calls later and more.
    assert found.repeats.kernels == 20
    assert found.repeats.rmspe > 0.05
    bench = Bench(linear)
    learn(SOFTMAX, SHAPES, bench, 100, 2, SOURCE)
    assert bench.measured[:60:3] == bench.measured[100:]
    assert len(set(bench.measured)) == 100


def test_the_same_machine_gives_the_same_regressor() -> None:
    first, second = (learn(SOFTMAX, SHAPES, Bench(linear), 60, 2, SOURCE) for _ in range(2))
    assert first == second


def test_it_stops_when_there_is_no_more_time_but_not_before_it_can_fit() -> None:
    bench = Bench(linear)
    found = learn(SOFTMAX, SHAPES, bench, 1000, 2, SOURCE, enough=lambda: True)
    assert found.rows + found.held_out.kernels == len(set(bench.measured)) == 48  # one batch
    with pytest.raises(UsageError, match="44 kernels of softmax are too few"):
        learn(SOFTMAX, SHAPES, bench, LEAST_KERNELS - 1, 2, SOURCE)


def test_accuracy_by_hand() -> None:
    found = accuracy(np.array([1.04, 0.92, 1.3, 1.0]), np.ones(4))
    assert found.kernels == 4
    assert (found.within_5_percent, found.within_10_percent) == (0.5, 0.75)
    assert found.rmspe == pytest.approx(np.sqrt((0.04**2 + 0.08**2 + 0.3**2) / 4), rel=1e-3)
