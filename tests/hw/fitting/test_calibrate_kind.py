"""Fits on a model whose coefficients a test can choose: time = launch + bytes / (fraction x bandwidth)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pytest

from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.quantity import Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.fitting.calibrate_kind import calibrate_case
from steelyard.hw.fitting.fit_coefficients import Case, fit_coefficients, modelled_s
from steelyard.hw.fitting.fit_residual import fit_residual
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelKind
from steelyard.hw.latency.residual import residual_at

SOURCE = Source(title="A bench", date=date(2026, 5, 4))
FAMILY = {"launch_s": 5e-6, "memory_fraction": 0.8}
TRUTH = {"launch_s": 8e-6, "memory_fraction": 0.6}


@dataclass(frozen=True)
class ToySoftmax:
    kind: KernelKind = "softmax"

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        size = 4.0 * dims["rows"] * dims["cols"]
        return KernelCost(pointwise_flops=size, bytes_read=size, bytes_written=size)

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        return FAMILY

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        assert device.memory_bandwidth_bytes_per_s
        floor_s = 8.0 * dims["rows"] * dims["cols"] / device.memory_bandwidth_bytes_per_s.value
        seconds = coefficients["launch_s"] + floor_s / coefficients["memory_fraction"]
        return Estimate(seconds, floor_s, np.full(len(floor_s), "memory"))


def toy_case(rows: int, seed: int = 0, noise: float = 0.0, bump: float = 0.0) -> Case:
    """Return measurements that follow `TRUTH`, with noise and a smooth bump around 512 columns."""
    random = np.random.default_rng(seed)
    dims = {name: np.exp2(random.uniform(4, 13, rows)).astype(np.int64) for name in ("rows", "cols")}
    device, context = load_device("t4"), ExecutionContext()
    truth_s: Floats = ToySoftmax().estimate(device, "f32", context, dims, TRUTH).seconds
    octaves = np.log2(dims["cols"]) - 9
    ratio = bump * np.exp(-(octaves**2) / 4) + noise * random.normal(size=rows)
    return Case(device, "f32", context, dims, truth_s * np.exp(ratio))


def test_many_rows_find_the_coefficients():
    found = fit_coefficients(ToySoftmax(), [toy_case(400, noise=0.02)], FAMILY)
    assert found == pytest.approx(TRUTH, rel=0.02)


def test_a_few_rows_move_the_coefficients_less():
    moved = [
        fit_coefficients(ToySoftmax(), [toy_case(rows)], FAMILY)["memory_fraction"] for rows in (1, 4, 400)
    ]
    assert 0.8 > moved[0] > moved[1] > moved[2] > 0.598


def test_outliers_count_less():
    case = toy_case(100)
    case.measured_s[:5] *= 20
    found = fit_coefficients(ToySoftmax(), [case], FAMILY)
    assert found == pytest.approx(TRUTH, rel=0.1)


def test_the_fit_is_deterministic():
    case = toy_case(50, noise=0.1)
    assert fit_coefficients(ToySoftmax(), [case], FAMILY) == fit_coefficients(ToySoftmax(), [case], FAMILY)


def test_a_coefficient_that_no_row_sees_stays():
    case = toy_case(400)
    large = case.take(case.measured_s > 100 * TRUTH["launch_s"])
    assert len(large.measured_s) > 3
    found = fit_coefficients(ToySoftmax(), [large], {**FAMILY, "unused": 3.0})
    assert found["unused"] == 3.0
    assert np.isclose(found["memory_fraction"], 0.6, rtol=0.05)


def ratios(case: Case) -> Column:
    return np.log(case.measured_s / modelled_s(ToySoftmax(), case, TRUTH))


def test_a_smooth_error_is_followed_between_the_points():
    seen, asked = toy_case(200, bump=0.5), toy_case(500, seed=1, bump=0.5)
    residual = fit_residual("softmax", seen.dims, ratios(seen))
    assert residual is not None
    left = ratios(asked) - residual_at(residual, "softmax", asked.dims)
    assert np.abs(left).mean() < 0.2 * np.abs(ratios(asked)).mean()


def test_noise_is_not_followed():
    seen = toy_case(100, noise=0.1)
    assert fit_residual("softmax", seen.dims, ratios(seen)) is None


def test_many_rows_are_summed_up_in_few_points():
    seen, asked = toy_case(1000, bump=0.5, noise=0.1), toy_case(500, seed=1, bump=0.5)
    few = fit_residual("softmax", seen.dims, ratios(seen), most_points=30)
    assert few is not None
    assert len(few.points) == 30
    left = ratios(asked) - residual_at(few, "softmax", asked.dims)
    assert np.abs(left).mean() < 0.05  # the noise of single rows is gone


def test_a_calibration_says_how_good_it_is():
    fit = calibrate_case(ToySoftmax(), toy_case(200, noise=0.03), SOURCE)
    assert fit.coefficients == pytest.approx(TRUTH, rel=0.05)
    assert fit.residual is None
    assert fit.rows == 200
    assert fit.mean_error_before > 0.2
    assert fit.mean_error == pytest.approx(0.03 * np.sqrt(2 / np.pi), rel=0.2)  # of a normal distribution
    assert fit.source == SOURCE


def test_coefficients_that_explain_little_more_do_not_replace_the_familys():
    case = toy_case(400, noise=0.10)
    ratio = case.measured_s / modelled_s(ToySoftmax(), case, TRUTH)
    nearly_family_s = 1.03 * ratio * modelled_s(ToySoftmax(), case, FAMILY)
    case = replace(case, measured_s=nearly_family_s)
    strict, lax = (calibrate_case(ToySoftmax(), case, SOURCE, 0, worth=worth) for worth in (0.9, 1.0))
    assert strict.coefficients == FAMILY != lax.coefficients
    assert strict.mean_error == strict.mean_error_before > lax.mean_error


def test_what_the_model_cannot_follow_is_interpolated():
    fit = calibrate_case(ToySoftmax(), toy_case(200, bump=1.0), SOURCE)
    assert fit.residual is not None
    assert fit.residual_spread is not None
    assert max(fit.residual_spread.high) < max(fit.spread.high)


def test_the_interval_holds_nine_rows_in_ten_that_were_not_seen():
    fit = calibrate_case(ToySoftmax(), toy_case(200, noise=0.2), SOURCE)
    asked = toy_case(2000, seed=1, noise=0.2)
    predicted = (
        ToySoftmax().estimate(asked.device, "f32", asked.context, asked.dims, fit.coefficients).seconds
    )
    low, high = fit.spread.interval(predicted, np.zeros(2000))
    assert 0.85 < ((low <= asked.measured_s) & (asked.measured_s <= high)).mean() < 0.96


def test_coefficients_of_the_family_stay_where_fitted_ones_do_no_better():
    case = toy_case(8)
    exact = ToySoftmax().estimate(case.device, "f32", case.context, case.dims, FAMILY).seconds
    case.measured_s[:] = exact
    assert calibrate_case(ToySoftmax(), case, SOURCE).coefficients == FAMILY
