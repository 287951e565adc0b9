from datetime import date
from pathlib import Path

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.quantity import Quantity, Rate, Source
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.hw.devices.schema import parse_device
from steelyard.hw.devices.write import dump_device, write_device

PROBE = Source(title='A probe: "quoted", back\\slash,\nnew line', date=date(2026, 5, 4))
SHEET = Source(title="Data sheet", date=date(2026, 1, 2), url="https://example.com")
LATER = Source(title="Data sheet", date=date(2026, 3, 4))


def measured(value: float) -> Quantity:
    return Quantity(value=value, kind="measured", source=PROBE)


def curve(*points: tuple[float, float]) -> Rate:
    return Rate(curve=points, kind="measured", source=PROBE, note="warm")


def calibrated() -> Device:
    return Device(
        name="my-cpu",
        title="The CPU under my desk",
        vendor="acme",
        kind="cpu",
        architecture="one",
        memory_kind="ddr",
        compute_units=Quantity(value=2, kind="spec", source=SHEET),
        memory_capacity_bytes=Quantity(value=16 * 2**30 - 4096, kind="spec", source=LATER),
        sustained=tuple(
            MeasuredRates(
                threads=threads,
                flops_per_s={
                    "contraction": {"f32": curve((1e5, 1.1e9), (1e9, threads * 98.7654321e9))},
                    "transcendental": {"f32": Rate(value=1 / 3 * 1e9, kind="measured", source=PROBE)},
                },
                memory_bandwidth_bytes_per_s=curve((32768, 1.5e11), (2**28, 1.2e10)),
                fresh_page_bytes_per_s=curve((2**17, 9e9), (2**25, 3.3e9)),
                memory_efficiency={"softmax": Rate(value=0.4, kind="measured", source=PROBE)},
                dispatch_overhead_s=measured(1.7e-6),
                view_overhead_s=measured(1.8e-6),
            )
            for threads in (1, 2)
        ),
    )


def test_a_calibrated_device_reads_back_exactly():
    assert parse_device(dump_device(calibrated()), "x") == calibrated()


@pytest.mark.parametrize("name", device_names())
def test_every_shipped_device_reads_back_exactly(name: str):
    assert parse_device(dump_device(load_device(name)), name) == load_device(name)


def test_a_written_file_is_loaded_by_its_path(tmp_path: Path):
    write_device(tmp_path / "my-cpu.toml", calibrated())
    assert load_device(tmp_path / "my-cpu.toml") == calibrated()
    assert [path.name for path in tmp_path.iterdir()] == ["my-cpu.toml"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "my-cpu.toml"
    path.write_text("old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk on fire")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match="on fire"):
        write_device(path, calibrated())
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("my-cpu.toml", "old")]


def test_sizes_are_written_for_people():
    text = dump_device(load_device("a100-40gb-sxm"))
    assert 'memory_capacity_bytes = { value = "40 GiB"' in text
    assert 'l2_bytes = { value = "40 MiB"' in text
    assert "memory_bandwidth_bytes_per_s = { value = 1.555e12" in text
