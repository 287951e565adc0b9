"""Processes of ranks: reachable over loopback alone, named when they fail, and gone with who started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program
from steelyard.passes.sharding.shard import ShardPass
from steelyard.runtime.program.load import load_program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]
GPT2 = "hf:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=64"
LISTENING = "0A"
LOOPBACK = "0100007F"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    module = load_program(GPT2, {"train": True, "batch": 2, "sequence": 8})
    ShardPass(mesh=2, strategy="data").apply(make_context(), module)
    path = tmp_path_factory.mktemp("plan") / "plan.mlir"
    path.write_text(format_program(module))
    return path


@pytest.fixture
def running(plan, tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A run of two ranks that does not end by itself, with its temporary files in a folder of its own."""
    code = "from steelyard.runtime.cli import main; main()"
    options = ["--nproc-per-node", "2", "--steps", "100000000", "--timeout", "3"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(plan), *options],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def ranks_of(process: subprocess.Popen[str]) -> dict[int, int]:
    """Process ids by rank, once the ranks are connected."""
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ranks = {rank: int(child) for child in children if (rank := rank_of(child)) is not None}
        if len(ranks) == 2 and all(len(listeners(pid)) > 0 for pid in ranks.values()):
            return ranks
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def rank_of(pid: str) -> int | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(each[5:]) for each in variables if each.startswith(b"RANK=")), None)


def listeners(pid: int) -> list[str]:
    """Addresses at which a process listens, as in /proc/net/tcp."""
    inodes = set[str]()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(handle.readlink())
        except OSError:
            continue
        inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1].partition(":")[0] for row in rows if row[3] == LISTENING and row[9] in inodes]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pids: dict[int, int]) -> None:
    while any(map(alive, pids.values())):
        time.sleep(0.05)


def test_ranks_listen_on_the_loopback_interface_alone(running):
    ranks = ranks_of(running)
    found = [address for pid in (running.pid, *ranks.values()) for address in listeners(pid)]
    assert set(found) == {LOOPBACK}


def test_a_killed_rank_is_named_and_nothing_is_left(running, tmp_path):
    ranks = ranks_of(running)
    os.kill(ranks[1], signal.SIGKILL)
    _, errors = running.communicate()
    assert running.returncode == 2
    assert "rank 1 of 2 failed" in errors
    assert "SIGKILL" in errors
    assert not any(map(alive, ranks.values()))
    assert not list(tmp_path.glob("steelyard-*"))


def test_a_stopped_rank_is_named_after_the_timeout(running):
    ranks = ranks_of(running)
    os.kill(ranks[0], signal.SIGSTOP)
    _, errors = running.communicate()
    assert running.returncode == 2
    assert "rank 0 of 2 failed" in errors
    assert "it is stopped" in errors
    assert not any(map(alive, ranks.values()))


def test_ranks_end_with_a_terminated_run(running, tmp_path):
    ranks = ranks_of(running)
    running.terminate()
    running.communicate()
    assert running.returncode == 128 + signal.SIGTERM
    assert not any(map(alive, ranks.values()))
    assert not list(tmp_path.glob("steelyard-*"))


def test_ranks_end_with_a_killed_run(running):
    ranks = ranks_of(running)
    running.kill()
    running.communicate()
    wait_until_gone(ranks)
