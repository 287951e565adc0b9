from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import torch

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.hw.base.errors import ExecutionError, UsageError
from steelyard.hw.base.quantity import Rate, Source
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.runtime.report.format_verification import format_verification
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.timing.steady_state import measure_peak_bytes
from steelyard.runtime.verify.from_spec import verify_spec
from steelyard.runtime.verify.verify import Comparison, Verification, verify

_TEXT = "hidden_size=32&intermediate_size=64&num_hidden_layers=1&num_attention_heads=2&vocab_size=64"
TEXT_MODELS = {
    "gpt2": "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64",
    "bert": f"hf:bert?{_TEXT}",
    "t5": "hf:t5?d_model=32&d_kv=16&d_ff=64&num_layers=1&num_heads=2&vocab_size=64",
    "llama": f"hf:llama?{_TEXT}&num_key_value_heads=1",
    "mixtral": f"hf:mixtral?{_TEXT}&num_key_value_heads=1&num_local_experts=4",
}
IMAGE_MODELS = {
    "resnet": "hf:resnet?depths=[1,1,1,1]&hidden_sizes=[32,64,64,64]&embedding_size=16",
    "mobilenet_v2": "hf:mobilenet_v2?depth_multiplier=0.35&image_size=64",
    "vit": f"hf:vit?{_TEXT.replace('&vocab_size=64', '')}&image_size=32",
    "convnext": "hf:convnext?hidden_sizes=[16,32,32,64]&depths=[1,1,1,1]&image_size=64",
    "swin": "hf:swin?embed_dim=16&depths=[1,1]&num_heads=[2,4]&window_size=4&image_size=64",
}


@pytest.fixture(scope="module")
def this_cpu(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The generic CPU with the instruction set whose kernels run here."""
    path = tmp_path_factory.mktemp("devices") / "this-cpu.toml"
    write_device(path, replace(load_device("cpu"), instruction_set=host_instruction_set()))
    return str(path)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_text_models_run_bit_equal_in_the_memory_predicted(name: str, train: bool, this_cpu: str):
    options = CaptureOptions(train=train, batch=2, sequence=16)
    found = verify(load_spec(TEXT_MODELS[name], options), options, this_cpu, least_s=0.0)
    assert found.different == ()
    assert found.num_unknown == 0
    assert found.peak_memory_bytes.ratio == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_image_models_run_bit_equal(name: str, train: bool, this_cpu: str):
    options = CaptureOptions(train=train, batch=2, image_size=32 if name == "resnet" else None)
    found = verify(load_spec(IMAGE_MODELS[name], options), options, this_cpu, least_s=0.0)
    assert found.different == ()
    assert found.num_unknown == 0
    assert found.peak_memory_bytes.ratio < 1.05  # scratch per thread is not modelled


def test_with_passes_the_rewritten_program_is_what_runs():
    options = CaptureOptions(train=True, batch=4, sequence=32)
    spec = TEXT_MODELS["gpt2"].replace("n_layer=1", "n_layer=4")
    plain, lean = (
        verify(load_spec(spec, options), options, "cpu", least_s=0.0, passes=passes)
        for passes in ("", "recompute{budget=0.4}")
    )
    assert lean.different == ()
    assert lean.peak_memory_bytes.ratio == 1
    assert lean.peak_memory_bytes.measured < plain.peak_memory_bytes.measured
    assert lean.num_ops > plain.num_ops


FORCES = """
import numpy as np
import torch
from torch import nn


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, positions):
        with torch.enable_grad():
            positions = positions.detach().requires_grad_()
            energy = self.net(positions).sum()
            (force,) = torch.autograd.grad(energy, positions, create_graph=True)
        return -force


def make():
    return Energy(), torch.randn(4, 3)


def lstm():
    return nn.LSTM(8, 8), torch.randn(5, 2, 8)


def mlp():
    return nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Tanh(), nn.Linear(32, 8)), torch.randn(16, 8)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.table = nn.Linear(8, 8), torch.from_numpy(np.arange(8, dtype=np.float32))

    def forward(self, x):
        return self.linear(x) * self.table


def table():
    return Table(), torch.randn(4, 8)


def no_library(y):
    if type(y) is torch.Tensor:
        raise RuntimeError("the library is not there")
    return y.sum()


def broken():
    return nn.Linear(2, 2), torch.zeros(1, 2), no_library
"""


def verified(tmp_path: Path, function: str, **given) -> Verification:
    (tmp_path / "made.py").write_text(FORCES)
    options = CaptureOptions(train=True)
    return verify(load_spec(f"{tmp_path}/made.py:{function}", options), options, "cpu", least_s=0.0, **given)


def test_a_step_that_the_counter_of_torch_cannot_count_is_verified(tmp_path: Path):
    found = verified(tmp_path, "make")
    assert found.flops_torch is None
    assert found.different == ()
    assert "torch's counter" not in format_verification(found)


@pytest.mark.parametrize("function", ["lstm", "table"])
def test_a_fused_recurrence_and_an_unregistered_table_run_by_themselves(function: str, tmp_path: Path):
    found = verified(tmp_path, function)
    assert found.not_compared is None
    assert found.different == ()


def test_a_fused_program_is_compared_within_the_rounding_of_its_dtype(tmp_path: Path):
    found = verified(tmp_path, "mlp", passes="fuse")
    assert found.different == ()
    assert "equal within the rounding of their dtype" in format_verification(found)


def test_a_program_that_cannot_run_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(module: object) -> None:
        raise RuntimeError("no kernel\nat all")

    monkeypatch.setattr("steelyard.runtime.verify.verify.compile_program", refuse)
    found = verified(tmp_path, "mlp")
    assert not found.ok
    assert found.to_json()["numerics"]["equal"] is None
    assert "not compared, since the program cannot run (no kernel)" in format_verification(found)
    with pytest.raises(ExecutionError, match="the rewritten program cannot run"):
        verified(tmp_path, "mlp", passes="fuse")


def test_a_model_that_captures_but_does_not_run_is_an_error_of_its_own(tmp_path: Path):
    with pytest.raises(ExecutionError, match="cannot run on this machine"):
        verified(tmp_path, "broken")


def test_a_device_that_is_not_this_machine_is_refused_before_the_model_is_built():
    with pytest.raises(UsageError, match=r"(?s)h100-sxm cannot be verified.*this machine's CPU"):
        verify_spec("hf:not-built", {}, "h100-sxm", 0.25)


LARGE = """
import torch


class Large(torch.nn.Module):
    def forward(self, x):
        return x.relu()


def make():
    return Large(), (torch.randn(33 * 2**18),)
"""


def test_with_passes_malloc_keeps_memory_and_no_page_faults_are_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slow_pages = Rate(value=1e3, kind="measured", source=Source(title="a test", date=date(2026, 1, 1)))
    sustained = MeasuredRates(threads=torch.get_num_threads(), fresh_page_bytes_per_s=slow_pages)
    write_device(tmp_path / "local.toml", replace(load_device("cpu"), sustained=(sustained,)))
    (tmp_path / "large.py").write_text(LARGE)
    kept: list[bool] = []

    @contextmanager
    def remember() -> Iterator[None]:
        kept.append(True)
        yield

    monkeypatch.setattr("steelyard.runtime.verify.verify.memory_kept", remember)
    options = CaptureOptions()
    model = load_spec(f"{tmp_path / 'large.py'}:make", options)
    device = str(tmp_path / "local.toml")
    assert verify(model, options, device, least_s=0.0).step_time_ms.predicted > 1e6
    assert not kept
    assert verify(model, options, device, least_s=0.0, passes="schedule-memory").step_time_ms.predicted < 1e3
    assert kept


def test_passes_that_do_not_exist_are_refused():
    options = CaptureOptions(train=True)
    with pytest.raises(UsageError, match="Unrecognized passes"):
        verify(load_spec(TEXT_MODELS["gpt2"], options), options, "cpu", passes="recomput")


def test_time_and_memory_out_of_tolerance_are_not_ok():
    right = Comparison(100.0, 100.0)
    found = Verification(
        model="m", mode="train", device="cpu", step_time_ms=right, peak_memory_bytes=right, flops_ours=1,
        flops_torch=1, num_ops=1, unknown_by_op={}, different=(), max_abs_diff=0.0, tolerance=0.1,
    )  # fmt: skip
    assert found.ok
    assert not replace(found, step_time_ms=Comparison(100.0, 80.0)).ok
    assert not replace(found, peak_memory_bytes=Comparison(80.0, 100.0)).ok
    assert not replace(found, different=("loss",)).ok


def test_peak_counts_what_is_resident_and_what_is_made():
    resident = torch.zeros(1000)

    def step() -> torch.Tensor:
        made = resident + resident
        return made * made

    assert measure_peak_bytes(step, [resident, resident.view(10, 100)]) == 3 * 4000
