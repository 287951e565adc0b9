import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.hw.devices.write import dump_device

PROMISED = """
    p4 p100-pcie v100-pcie-32gb v100-sxm2-16gb t4 rtx-2080-ti rtx-3090 rtx-4090 a10g a40 a100-40gb-pcie
    a100-40gb-sxm a100-80gb-pcie a100-80gb-sxm l4 l40s h100-pcie h100-sxm h200-sxm b200-sxm rtx-5090
    rtx-pro-6000 arc-pro-b60 mi100 mi210 mi250 mi300x tpu-v4 jetson-tx2 k80 m60 cpu
"""


def test_every_promised_device_is_there_under_its_name():
    assert set(PROMISED.split()) <= set(device_names())
    assert [load_device(name).name for name in device_names()] == device_names()


def test_an_unknown_name_gets_its_neighbours():
    with pytest.raises(DeviceError) as caught:
        load_device("h100-sxn")
    assert str(caught.value).startswith("there is no device named 'h100-sxn'\n  why: ")
    assert caught.value.fix is not None
    assert "did you mean 'h100-sxm'" in caught.value.fix


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("H100-SXM", "h100-sxm"),
        ("h200", "h200-sxm"),
        ("rtx4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("Tesla T4", "t4"),
        ("l4", "l4"),
    ],
)
def test_other_spellings_of_a_name(given, name):
    assert load_device(given) is load_device(name)


@pytest.mark.parametrize("given", ["a100", "A100-80GB", "h100", "rtx"])
def test_a_name_of_several_boards_is_refused_with_all_of_them(given):
    with pytest.raises(DeviceError, match="may be") as error:
        load_device(given)
    boards = [name for name in device_names() if name.startswith(given.lower())]
    assert error.value.fix == f"say which: {', '.join(boards)}"


@pytest.mark.parametrize(("given", "near"), [("l40", "l40s"), ("mi300", "mi300x"), ("h200-nvl", "h200-sxm")])
def test_another_product_is_not_taken_for_one_that_is_known(given, near):
    with pytest.raises(DeviceError, match=f"did you mean '{near}'"):
        load_device(given)


@pytest.mark.parametrize("given", ["", "nvidia", "-"])
def test_no_name_at_all(given):
    with pytest.raises(DeviceError, match="no device named"):
        load_device(given)


def test_the_users_folders_come_first_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = dump_device(load_device("t4"))
    for folder, title in (("one", "my own T4"), ("two", "another T4")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t4.toml").write_text(text.replace("NVIDIA T4", title, 1))
    (tmp_path / "two" / "t5.toml").write_text(text.replace('"t4"', '"t5"'))
    monkeypatch.setenv(
        "STEELYARD_DEVICE_PATH", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")])
    )
    assert load_device("t4").title == "my own T4"
    (tmp_path / "two" / "nvidia.toml").touch()
    assert load_device("t5").name == load_device("T5").name == "t5"
    assert {"t5", "h100-sxm"} <= set(device_names())


def test_a_path_that_is_not_there_is_one_clear_error(tmp_path: Path):
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        load_device(tmp_path / "none.toml")
    assert caught.value.where == str(tmp_path / "none.toml")


def test_a_binary_file_is_one_clear_error(tmp_path: Path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeviceError, match="cannot be read"):
        load_device(tmp_path / "x.toml")


def test_importing_the_layer_loads_neither_pydantic_nor_torch_nor_xdsl():
    code = (
        "import sys, steelyard.hw.devices.registry, steelyard.hw.latency.roofline\n"
        "print(*{'pydantic', 'torch', 'xdsl', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
