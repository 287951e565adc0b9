import numpy as np
import pytest

from steelyard.hw.devices.fitted_models import Residual
from steelyard.hw.fitting.fit_residual import spread_out
from steelyard.hw.kernels.common.kernel_queries import Column
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.residual import residual_at, within_points


def columns(*rows: tuple[int, int]) -> dict[str, Column]:
    return {
        dim: np.array(column)
        for dim, column in zip(KINDS["softmax"].dims, zip(*rows, strict=True), strict=True)
    }


def test_far_from_the_points_only_the_offset_is_left():
    residual = Residual(offset=0.1, octaves=(1.0, 1.0), noise=0.1, points=((64.0, 64.0, 0.5),))
    assert residual_at(residual, "softmax", columns((64, 64), (2**30, 2**30))) == pytest.approx(
        [0.1 + 0.5 / 1.1, 0.1]
    )


def test_within_is_between_the_points_in_each_direction():
    residual = Residual(
        offset=0.0, octaves=(1.0, 1.0), noise=0.1, points=((64.0, 64.0, 0.1), (256.0, 128.0, 0.1))
    )
    asked = columns((64, 128), (100, 100), (63, 100), (100, 129))
    assert within_points(residual, "softmax", asked).tolist() == [True, True, False, False]


def test_another_function_counts_half_and_is_not_within():
    points = (("add", 64.0, 64.0, 0.4),)
    residual = Residual(offset=0.0, octaves=(1.0, 1.0), noise=0.25, points=points)
    dims = {"fn": np.array(["add", "mul"]), "rows": np.array([64, 64]), "cols": np.array([64, 64])}
    assert residual_at(residual, "elementwise", dims) == pytest.approx([0.32, 0.16])
    assert within_points(residual, "elementwise", dims).tolist() == [True, False]


def test_points_are_spread_out():
    line = np.arange(9.0)[:, None]
    words = np.full(9, "")
    assert sorted(spread_out(line, words, 3).tolist()) == [0, 4, 8]
    assert len(spread_out(np.zeros((9, 1)), words, 3)) == 1


@pytest.mark.parametrize(
    "wrong", [{"noise": 0.0}, {"octaves": (1.0, -1.0)}, {"points": ((1.0,), (1.0, 2.0))}]
)
def test_a_residual_that_is_none_is_refused(wrong: dict[str, object]):
    right: dict[str, object] = {"offset": 0.0, "octaves": (1.0, 1.0), "noise": 0.1, "points": ()}
    with pytest.raises(ValueError, match="must"):
        Residual(**(right | wrong))  # type: ignore[arg-type]
