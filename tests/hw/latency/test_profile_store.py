import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.latency.profile_store import Measurement, ProfileStore, local_store

ONE = Measurement(
    device="bench",
    context="eager",
    threads=2,
    op="aten.mm",
    signature="aten.mm(f32[4x8], f32[8x2])",
    dtype="f32",
    kind="gemm",
    dims="b=1 m=4 n=2 k=8",
    median_s=3e-6,
    min_s=2e-6,
    low_s=2.5e-6,
    high_s=4e-6,
    repeats=19,
    measured_on="2026-11-24",
    torch_version="2.13.0",
)


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path / "new" / "profiles.sqlite")


def test_what_was_added_is_found_by_device_and_context(store):
    other = replace(ONE, op="aten.relu", signature="aten.relu(f32[4])", kind="", dims="")
    store.add([ONE, other, replace(ONE, device="elsewhere")])
    assert store.of("bench", "eager") == [ONE, other]
    assert store.of("bench", "compiled") == []


def test_a_new_measurement_replaces_the_old_one_of_the_same_op_and_threads(store):
    store.add([ONE, replace(ONE, threads=1)])
    store.add([replace(ONE, median_s=4e-6)])
    assert sorted((each.threads, each.median_s) for each in store.of("bench", "eager")) == [
        (1, 3e-6),
        (2, 4e-6),
    ]


def test_all_are_kept_or_none(store):
    store.add([ONE])
    with pytest.raises(DeviceError):
        store.add([replace(ONE, signature="another"), replace(ONE, signature="\ud800")])
    assert store.of("bench", "eager") == [ONE]


def test_no_file_knows_nothing_and_is_not_made(store):
    assert store.of("bench", "eager") == []
    assert not store.path.exists()


def test_a_damaged_file_is_one_error(store):
    store.path.parent.mkdir()
    store.path.write_bytes(b"not a database" * 100)
    for use in (lambda: store.of("bench", "eager"), lambda: store.add([ONE])):
        with pytest.raises(DeviceError) as caught:
            use()
        assert caught.value.where == str(store.path)
        assert "not a database" in str(caught.value)
        assert "STEELYARD_PROFILES" in str(caught.value)


def test_the_database_of_another_program_is_left_alone(store):
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE measurement (x)")
    before = store.path.read_bytes()
    for use in (lambda: store.of("bench", "eager"), lambda: store.add([ONE])):
        with pytest.raises(DeviceError, match="cannot be used") as caught:
            use()
        assert "another program" in str(caught.value)
    assert store.path.read_bytes() == before


def test_another_version_is_an_error(store):
    store.add([ONE])
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(DeviceError) as caught:
        store.of("bench", "eager")
    assert "version 9" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError):
        ProfileStore(tmp_path / "file" / "profiles.sqlite").add([ONE])


def test_where_the_profile_is(monkeypatch, tmp_path):
    monkeypatch.delenv("STEELYARD_PROFILES", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert local_store() == ProfileStore(tmp_path / "steelyard" / "profiles.sqlite")
    monkeypatch.setenv("STEELYARD_PROFILES", str(tmp_path / "mine.sqlite"))
    assert local_store() == ProfileStore(tmp_path / "mine.sqlite")
    monkeypatch.setenv("STEELYARD_PROFILES", "")
    assert local_store() is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("median_s", -1.0),
        ("median_s", float("inf")),
        ("median_s", "soon"),
        ("median_s", 4000.0),
        ("min_s", 0.0),
        ("low_s", 3.5e-6),
        ("high_s", 2e-6),
        ("repeats", 0),
        ("threads", -1),
        ("threads", "two"),
        ("op", b"\xff"),
        ("high_s", 1e308),
        ("kind", "gem"),
        ("dims", "gemm"),
        ("dims", "b=1 m=4 n=2"),
        ("dims", "b=1 m=-4 n=2 k=8"),
        ("dims", "b=1 m=99999999999999999999 n=2 k=8"),
    ],
)
def test_a_row_that_cannot_be_is_refused(store, column, value):
    store.add([ONE])
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"UPDATE measurement SET {column} = ?", (value,))
    with pytest.raises(DeviceError, match="cannot be used"):
        store.of("bench", "eager")


def test_an_empty_file_is_a_new_profile(store):
    store.path.parent.mkdir()
    store.path.touch()
    assert store.of("bench", "eager") == []
    store.add([ONE])
    assert store.of("bench", "eager") == [ONE]


def test_a_commit_that_was_killed_is_taken_back(store):
    """As SQLite leaves it: the pages in the file are new, the old ones in a journal beside it."""
    store.add([ONE])
    code = f"""
import os, sqlite3
connection = sqlite3.connect({str(store.path)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("PRAGMA cache_spill = 1")
connection.execute("BEGIN")
connection.execute("CREATE TEMP TABLE one AS SELECT * FROM measurement")
for number in range(2000):
    connection.execute("UPDATE one SET threads = ?", (number + 10,))
    connection.execute("INSERT INTO measurement SELECT * FROM one")
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert store.path.with_name("profiles.sqlite-journal").exists()
    assert store.of("bench", "eager") == [ONE]
