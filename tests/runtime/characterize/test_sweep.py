import json
from math import ceil
from pathlib import Path

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.runtime.characterize.format import format_behaviour
from steelyard.runtime.characterize.plot import plot_behaviour, require_plot
from steelyard.runtime.characterize.sweep import characterize, find_sweep
from steelyard.runtime.characterize.times import predicted_s


def dims(sweep):
    return [dict(zip(sweep.family.sizes, config, strict=True)) for config in sweep.configs]


def test_a_sweep_of_channels_changes_nothing_else() -> None:
    sweep = find_sweep("conv2d", "channels", {}, None)
    assert [each.pop("o") for each in dims(sweep)] == list(range(1, 145))
    assert {tuple(each[name] for name in each if name != "o") for each in dims(sweep)} == {
        (1, 64, 28, 28, 3, 3, 1, 1, 1)
    }


def test_depthwise_channels_are_channels_groups_and_results() -> None:
    sweep = find_sweep("depthwise_conv2d", "channels", {"h": 14}, 20)
    assert all(each["c"] == each["o"] == each["groups"] and each["h"] == 14 for each in dims(sweep))


def test_windows_are_odd_and_padded_by_half() -> None:
    sweep = find_sweep("conv2d", "kernel", {}, 5)
    assert [(each["r"], each["s"], each["pad"]) for each in dims(sweep)] == [(1, 1, 0), (3, 3, 1), (5, 5, 2)]


@pytest.mark.parametrize(
    ("kind", "swept", "others", "says"),
    [
        ("gemm", "kernel", {}, "gemm cannot be swept by kernel"),
        ("conv2d", "channels", {"o": 8}, "o cannot be set in a sweep of o"),
        ("conv2d", "channels", {"strid": 2}, "did you mean 'stride'"),
    ],
)
def test_what_cannot_be_swept_is_an_error(kind, swept, others, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_sweep(kind, swept, others, None)
    assert says in str(raised.value)


@pytest.fixture
def behaviour():
    sweep = find_sweep("conv2d", "channels", {}, None)
    return characterize(sweep, lambda configs: [1e-6 * (2 + ceil(config[4] / 16)) for config in configs])


def test_the_steps_of_a_known_machine(behaviour) -> None:
    assert behaviour.staircase.width == 16
    text = format_behaviour(behaviour, "my machine", "table").splitlines()
    assert text[1].split()[:2] == ["1", "3"]
    assert text[144].count("#") == 50
    assert text[1].count("#") == round(50 * 3 / 11)
    assert text[-1].startswith(
        "conv2d n=1 c=64 h=28 w=28 r=3 s=3 stride=1 groups=1 on my machine: time grows"
    )
    assert "in steps of 16 o" in text[-1]


def test_csv_and_json_say_the_same(behaviour) -> None:
    found = json.loads(format_behaviour(behaviour, "my machine", "json"))
    assert found["staircase"]["width"] == 16
    assert found["swept"] == ["o"]
    csv = format_behaviour(behaviour, "my machine", "csv").splitlines()
    assert csv[:2] == ["o,time_us", "1,3"]
    assert [f"{each['o']},{each['time_us']:.6g}" for each in found["points"]] == csv[1:]


def test_the_tiles_of_a_gpu_are_predicted() -> None:
    sweep = find_sweep("gemm", "channels", {"m": 4096, "k": 4096}, 256)
    device = load_device("t4")
    found = characterize(sweep, lambda configs: predicted_s(device, sweep.family, configs))
    assert found.staircase is not None
    assert found.staircase.width % 16 == 0
    assert found.staircase.penalty > 0.02


def test_a_plot_is_written(behaviour, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        path = tmp_path / f"steps{suffix}"
        require_plot(path)
        plot_behaviour(behaviour, "my machine", path)
        assert path.read_bytes().startswith(start)


def test_a_plot_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(UsageError, match=r"as \.jpeg"):
        require_plot(Path("steps.jpeg"))
