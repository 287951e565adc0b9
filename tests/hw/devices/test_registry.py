import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.devices.registry import device_names, load_device


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


def test_a_file_of_the_user_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_DEVICE_PATH", str(tmp_path))
    (tmp_path / "nvidia.toml").write_text("")
    assert load_device("T4").name == "t4"
