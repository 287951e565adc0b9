"""The how-to says what is true: its example runs, and it names every key."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.ladder import Ladder

HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "add-a-device.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", HOWTO.read_text(), re.DOTALL)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "rtx-a6000.toml").write_text(blocks("toml")[0])
    monkeypatch.setenv("STEELYARD_DEVICE_PATH", str(tmp_path))
    (code,) = blocks("python")
    exec(compile(code, str(HOWTO), "exec"), {})


def test_a_product_is_priced_on_the_example(tmp_path: Path):
    path = tmp_path / "rtx-a6000.toml"
    path.write_text(blocks("toml")[0])
    rows = KernelBatch("gemm", "bf16", {name: np.array([1 if name == "b" else 4096]) for name in "bmnk"})
    (low_s,) = Ladder(load_device(path), ExecutionContext()).price(rows).low_s
    assert low_s > 2 * 4096**3 / 160e12
    path.write_text(re.sub("l2_bytes.*\n", "", blocks("toml")[0]))
    with pytest.raises(DeviceError) as error:
        Ladder(load_device(path), ExecutionContext()).price(rows)
    assert error.value.why == "its file lacks l2_bytes"


def test_the_curves_of_the_example_are_read(tmp_path: Path):
    text = blocks("toml")[0].replace("[sources.data-sheet]", blocks("toml")[1] + "[sources.data-sheet]")
    (tmp_path / "mine.toml").write_text(
        text
        + '[sources.stream]\ntitle = "s"\ndate = 2026-01-01\n[sources.gemm]\ntitle = "g"\ndate = 2026-01-01\n'
    )
    sustained = load_device(tmp_path / "mine.toml").sustained_with(2)
    assert sustained.memory_bandwidth_bytes_per_s is not None
    assert sustained.memory_bandwidth_bytes_per_s.at(2e6) == pytest.approx(60e9)
    assert sustained.flops_per_s["contraction"]["f32"].at(1e12) == 180e9


@pytest.mark.parametrize(
    "key", sorted({each.name for kind in (Device, MeasuredRates) for each in fields(kind)})
)
def test_every_key_is_explained(key: str):
    assert f"`{key}`" in HOWTO.read_text()
