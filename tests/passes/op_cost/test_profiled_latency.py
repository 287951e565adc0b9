"""annotate-latency takes what the local profile knows before every model."""

from pathlib import Path

import pytest

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr, LatencyEstimate
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.latency.profile_store import Measurement, ProfileStore
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

PROGRAM = """
builtin.module {
  func.func @forward(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %0 = aten.mm(%x, %w) : tensor<64x64xf32>
    %1 = aten.t(%0) : tensor<64x64xf32>
    %2 = aten.mm(%x, %1) : tensor<64x64xf32>
    %3 = aten.relu(%2) : tensor<64x64xf32>
    func.return %3 : tensor<64x64xf32>
  }
}
"""
MM = "aten.mm(f32[64x64], f32[64x64])"
RELU = "aten.relu(f32[64x64])"


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> ProfileStore:
    path = tmp_path / "profiles.sqlite"
    monkeypatch.setenv("STEELYARD_PROFILES", str(path))
    return ProfileStore(path)


def measured(signature: str, median_s: float, dims: str = "", device: str = "cpu") -> Measurement:
    return Measurement(
        device=device,
        context="eager",
        threads=0 if device == "t4" else 2,
        op=signature.partition("(")[0],
        signature=signature,
        dtype="f32",
        kind="gemm" if dims else "",
        dims=dims,
        median_s=median_s,
        min_s=median_s / 2,
        low_s=median_s / 2,
        high_s=2 * median_s,
        repeats=19,
        measured_on="2026-11-24",
        torch_version="2.13.0",
    )


def annotated(device: str = "cpu", context: str = "eager") -> list[LatencyEstimate]:
    module = parse_program(PROGRAM)
    AnnotateCostPass().apply(make_context(), module)
    AnnotateLatencyPass(device=device, context=context).apply(make_context(), module)
    found = [op.attributes.get(LATENCY) for op in entry_function(module).body.block.ops]
    return [each.data for each in found if isinstance(each, LatencyAttr)]


@pytest.mark.parametrize("device", ["cpu", "t4"])
def test_an_op_that_was_measured_has_that_time_and_the_others_their_models(store, device):
    before = annotated(device)
    store.add([measured(MM, 5e-3, device=device), measured(RELU, 7e-3, device=device)])
    product, view, transposed, relu = annotated(device)
    assert (product.value_us, product.low_us, product.high_us) == (5e3, 2.5e3, 1e4)
    assert product.source == relu.source == "measured"
    assert product.limiter == before[0].limiter  # a clock does not tell
    assert relu.value_us == 7e3
    assert (view, transposed) == (before[1], before[2])  # another layout is another op


def test_kernels_between_measured_ones_are_interpolated_on_a_cpu(store):
    sizes = (48, 96)
    store.add(
        measured(f"aten.mm{m, n, k}", 1e-3, f"b=1 m={m} n={n} k={k}")
        for m in sizes
        for n in sizes
        for k in (32, 64, 128)
    )
    product, _, transposed, relu = annotated()
    assert product.source == transposed.source == "interpolated"
    assert product.value_us == pytest.approx(1e3, rel=0.9)
    assert relu.source not in ("measured", "interpolated")


def test_another_context_is_another_claim(store):
    store.add([measured(MM, 5e-3)])
    assert annotated(context="compiled")[0].source != "measured"


def test_a_damaged_profile_is_one_error(store):
    store.path.write_bytes(b"\0" * 5000)
    with pytest.raises(DeviceError, match="cannot be used"):
        annotated()
