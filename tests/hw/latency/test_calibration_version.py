from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from steelyard.hw.base.errors import SteelyardError
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit, Point, Residual
from steelyard.hw.devices.learned_models import LAW, Accuracy, Learned, Regressor
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.calibration_version import require_calibration_of_kinds
from steelyard.hw.latency.ladder import Ladder

BAND = ErrorBand(low=(0.9,), high=(1.1,))
SOURCE = Source(title="A bench", date=date(2026, 5, 4))
POINTS: tuple[Point, ...] = (("add", 64.0, 8192.0, -0.03), ("mul", 1.0, 4097.0, 0.5))


def fitted(kind: str = "elementwise", octaves: int = 2, points: tuple[Point, ...] = POINTS) -> Device:
    residual = Residual(offset=0.0, octaves=(1.0,) * octaves, noise=0.1, points=points)
    fit = Fit(
        source=SOURCE,
        rows=8,
        mean_error=0.1,
        mean_error_before=0.2,
        coefficients={},
        spread=BAND,
        residual=residual,
        residual_spread=BAND,
    )
    return replace(load_device("t4"), fitted={kind: {"f32": {"eager": fit}}})


def learned(kind: str = "softmax", feature: str = "", smallest: tuple[int, ...] = (1, 1)) -> Device:
    features = KINDS["softmax"].regressor_features
    accuracy = Accuracy(kernels=9, within_5_percent=1.0, within_10_percent=1.0, rmspe=0.01)
    found = Learned(
        source=SOURCE,
        threads=1,
        rows=9,
        held_out=accuracy,
        repeats=accuracy,
        smallest=smallest,
        largest=(9, 9),
        regressor=Regressor(
            features=(feature or features[0], *features[1:]), law_s=(1e-6,) * len(LAW), offset=0.0, trees=()
        ),
        spread=BAND,
    )
    return replace(load_device("cpu"), learned={kind: {"f32": found}})


def test_a_calibration_of_the_kinds_is_taken() -> None:
    require_calibration_of_kinds(fitted())
    require_calibration_of_kinds(learned())


@pytest.mark.parametrize(
    ("device", "says"),
    [
        (fitted("elementwize"), "did you mean 'elementwise'"),
        (fitted(octaves=1), "octaves are for rows cols, cols"),
        (fitted(points=((7.0, 64.0, 8192.0, -0.03),)), "a point is fn, rows, cols"),
        (fitted(points=(("add", 0.0, 8192.0, -0.03),)), "a point is fn, rows, cols"),
        (fitted(points=(("add", 64.0, -0.03),)), "a point is fn, rows, cols"),
        (learned("softmux"), "did you mean 'softmax'"),
        (learned(feature="other"), "features are not rows, cols"),
        (learned(smallest=(1,)), "smallest and largest are for rows, cols"),
    ],
)
def test_another_version_is_an_error_of_whoever_asks(device: Device, says: str) -> None:
    dims = {"rows": np.array([4]), "cols": np.array([4])}
    with pytest.raises(SteelyardError) as caught:
        Ladder(device, ExecutionContext(), measured=False).price(KernelBatch("softmax", "f32", dims))
    assert says in str(caught.value)
