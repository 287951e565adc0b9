from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext, ExecutionMode
from steelyard.hw.base.quantity import Source
from steelyard.hw.base.spread import ErrorBand
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.fitted_models import Fit, Residual
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.kernels.registry import KINDS
from steelyard.hw.latency.ladder import Ladder

GRAPH = ExecutionContext(mode="graph")
ROWS: dict[str, tuple[int | str, ...]] = {
    "gemm": (1, 4096, 1024, 2048),
    "bmm": (12, 512, 64, 512),
    "conv2d": (8, 64, 56, 56, 64, 3, 3, 1, 1, 1, "fwd"),
    "elementwise": ("gelu", 4096, 1024),
    "softmax": (4096, 512),
    "layer_norm": (4096, 1024),
    "attention_prefill": (4, 32, 8, 1024, 1024, 128, 1),
    "attention_decode": (4, 32, 8, 1, 1024, 128, 1),
}


def ask(kind: str, *rows: tuple[int | str, ...], dtype: DType = "bf16") -> KernelBatch:
    columns = zip(*rows or (ROWS[kind],), strict=True)
    return KernelBatch(
        kind, dtype, {dim: np.array(c) for dim, c in zip(KINDS[kind].dims, columns, strict=True)}
    )


def calibrated(device: Device, mode: ExecutionMode, **changes: float) -> Device:
    coefficients = dict(KINDS["gemm"].model.coefficients(device, "bf16"))
    coefficients |= {name: coefficients[name] * factor for name, factor in changes.items()}
    fit = Fit(
        source=Source(title="A bench", date=date(2026, 5, 4)),
        rows=2,
        mean_error=0.1,
        mean_error_before=0.2,
        coefficients=coefficients,
        spread=ErrorBand(low=(0.5,), high=(2.0,)),
        residual=Residual(
            offset=0.0,
            octaves=(1.0, 1.0, 1.0),
            noise=1.0,
            points=((1.0, 4096.0, 1024.0, 2048.0, 0.2), (1.0, 8192.0, 1024.0, 2048.0, 0.2)),
        ),
        residual_spread=ErrorBand(low=(0.9,), high=(1.1,)),
    )
    return replace(device, fitted={"gemm": {"bf16": {mode: fit}}})


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("name", ["h200-sxm", "l4", "mi300x", "b200-sxm", "arc-pro-b60"])
def test_a_device_is_priced_from_its_data_sheet(kind: str, name: str):
    prices = Ladder(load_device(name), GRAPH).price(ask(kind))
    assert prices.source.tolist() == ["analytic"]
    assert 0 < prices.low_s[0] <= prices.value_s[0] <= prices.high_s[0] < 1
    assert prices.limiter[0] in ("compute", "memory", "launch")


@pytest.mark.parametrize("kind", ROWS)
def test_a_cpu_is_priced_by_its_roofline(kind: str):
    prices = Ladder(load_device("cpu"), ExecutionContext()).price(ask(kind, dtype="f32"))
    assert prices.source[0] in ("analytic", "spec")
    assert 0 < prices.low_s[0] <= prices.value_s[0] <= prices.high_s[0]


def test_a_calibrated_device_is_interpolated_between_its_points_and_fitted_beyond():
    device = replace(load_device("h100-sxm"), fitted={})  # the same coefficients before and after
    queries = ask("gemm", ROWS["gemm"], (1, 256, 256, 256))
    before = Ladder(device, GRAPH).price(queries)
    after = Ladder(calibrated(device, "graph"), GRAPH).price(queries)
    assert after.source.tolist() == ["interpolated", "fitted"]
    # Two points an octave apart, each with noise as large as the function: 0.2 (1 + 1/e) / (2 + 1/e).
    assert after.value_s[0] == pytest.approx(before.value_s[0] * np.exp(0.2 * 1.3679 / 2.3679), rel=1e-4)
    assert after.high_s[0] == pytest.approx(1.1 * after.value_s[0])
    assert after.high_s[1] == pytest.approx(2.0 * after.value_s[1])


def test_another_context_takes_the_coefficients_and_not_the_residual():
    device = load_device("h100-sxm")
    queries, eager = ask("gemm"), ExecutionContext(mode="eager")
    before = Ladder(device, eager).price(queries)
    after = Ladder(calibrated(device, "graph", multiply_fraction=0.5), eager).price(queries)
    assert after.source.tolist() == ["fitted"]
    assert after.value_s[0] > 1.3 * before.value_s[0]
    assert after.high_s[0] / after.value_s[0] == pytest.approx(before.high_s[0] / before.value_s[0], rel=0.3)


def test_a_price_is_never_below_the_floor():
    device = calibrated(load_device("h100-sxm"), "graph")
    fit = device.fitted["gemm"]["bf16"]["graph"]
    assert fit.residual is not None
    fast = replace(fit, residual=replace(fit.residual, offset=-5.0))
    prices = Ladder(replace(device, fitted={"gemm": {"bf16": {"graph": fast}}}), GRAPH).price(ask("gemm"))
    assert prices.low_s[0] == prices.value_s[0] == 2 * 4096 * 1024 * 2048 / 989.4e12


def test_a_fit_of_another_version_is_an_error():
    device = calibrated(load_device("h100-sxm"), "graph")
    fit = replace(device.fitted["gemm"]["bf16"]["graph"], coefficients={"speed": 1.0})
    with pytest.raises(DeviceError, match="another version"):
        Ladder(replace(device, fitted={"gemm": {"bf16": {"graph": fit}}}), GRAPH).price(ask("gemm"))


def test_tf32_is_how_f32_products_run_where_the_device_has_it():
    def price(name: str, tf32: bool) -> float:
        context = ExecutionContext(mode="graph", tf32=tf32)
        return Ladder(load_device(name), context).price(ask("gemm", dtype="f32")).value_s[0]

    assert price("a100-80gb-sxm", tf32=True) < 0.5 * price("a100-80gb-sxm", tf32=False)
    assert price("v100-sxm2-16gb", tf32=True) == price("v100-sxm2-16gb", tf32=False)


@pytest.mark.parametrize(
    ("name", "kind", "dtype"),
    [
        ("a100-80gb-sxm", "gemm", "f8"),
        ("v100-sxm2-16gb", "gemm", "bf16"),
        ("p4", "attention_prefill", "tf32"),
        ("h100-sxm", "bmm", "i64"),
        ("h100-sxm", "softmax", "tf32"),
    ],
)
def test_a_type_that_the_device_cannot_do_is_an_error(name: str, kind: str, dtype: DType):
    with pytest.raises(DeviceError) as caught:
        Ladder(load_device(name), GRAPH).price(ask(kind, dtype=dtype))
    assert dtype in caught.value.what
