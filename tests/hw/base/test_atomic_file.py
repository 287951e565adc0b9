"""Atomic writing: links are followed, pipes and devices are written to, what cannot be written is said."""

import os
from pathlib import Path
from threading import Thread

import pytest

from steelyard.hw.base.atomic_file import require_writable, write_atomically
from steelyard.hw.base.errors import UsageError


def test_a_link_is_followed(tmp_path):
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=write_atomically, args=(pipe, "text"))
    writer.start()
    assert pipe.read_text() == "text"
    writer.join()
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_is_written_to_and_a_full_one_is_an_error():
    with pytest.raises(UsageError, match="cannot be written"):
        write_atomically(Path("/dev/full"), "text")
    assert Path("/dev/full").is_char_device()


def test_a_folder_that_is_missing_is_found_before_the_work(tmp_path):
    require_writable(tmp_path / "new")
    assert not list(tmp_path.iterdir())
    for path in (tmp_path, tmp_path / "no" / "new"):
        with pytest.raises(UsageError, match="cannot be written"):
            require_writable(path)
