import csv
import json
from pathlib import Path

import pytest

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.liveness import liveness
from steelyard.hw.allocators.choice import make_allocator
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.passes.memory.step_memory import CATEGORIES, step_memory
from steelyard.runtime.capacity.memory_timeline import Event, memory_timeline, write_timeline
from steelyard.runtime.program.load import load_costed

SPEC = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"


@pytest.fixture(scope="module")
def module():
    return load_costed(SPEC, {"train": True, "sequence": 16})


@pytest.fixture(scope="module")
def events(module) -> list[Event]:
    device = load_device("cpu")
    return [*memory_timeline(step_memory(Analyses(module), device), make_allocator(device))]


def test_the_categories_add_up_at_every_event(events):
    for event in events:
        assert sum(event.by_category.values()) == event.live_bytes
        assert min(event.by_category.values()) >= 0
        assert set(event.by_category) == set(CATEGORIES)
    assert [event.index for event in events] == list(range(len(events)))


def test_the_second_step_peaks_as_liveness_says(module, events):
    assert max(event.live_bytes for event in events if event.step == 2) == liveness(module).peak_bytes
    assert {event.phase for event in events} == {"", "forward", "loss", "backward", "optimizer"}


def test_the_state_of_the_optimizer_comes_in_the_first_step(events):
    made = [event for event in events if event.category == "optimizer_state" and event.bytes > 0]
    assert made
    assert {(event.step, event.phase) for event in made} == {(1, "optimizer")}


def test_files(events, tmp_path: Path):
    write_timeline(tmp_path / "m.csv", iter(events))
    write_timeline(tmp_path / "m.json", iter(events))
    with (tmp_path / "m.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    loaded = json.loads((tmp_path / "m.json").read_text())
    assert len(rows) == len(loaded) == len(events)
    assert int(rows[-1]["live_bytes"]) == loaded[-1]["live_bytes"] == events[-1].live_bytes
    assert loaded[5]["parameter_bytes"] == events[5].by_category["parameter"]


def test_a_name_that_says_no_format(tmp_path: Path):
    with pytest.raises(UsageError, match=r"neither \.csv nor \.json"):
        write_timeline(tmp_path / "m.txt", iter(()))
