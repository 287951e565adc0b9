"""The state in which a call on the CPU is timed; how long it takes is not tested."""

import weakref
from collections.abc import Callable
from mmap import mmap

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from steelyard.runtime.timing.host_cpu import last_cache_bytes
from steelyard.runtime.timing.isolated_op import time_on_cpu
from steelyard.runtime.timing.random_operands import Runnable


class Result:
    """What an op returns; knows when nobody holds it any more."""


class Log(TorchDispatchMode):
    """Lists the address and the bytes of what is added to in place, and what else is told to it."""

    def __init__(self) -> None:
        super().__init__()
        self.events = list[object]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ == "add_":
            self.events.append((args[0].data_ptr(), args[0].nbytes))
        return func(*args, **(kwargs or {}))


def test_the_result_of_the_call_before_is_held_and_no_older_one():
    made = list[Callable[[], Result | None]]()
    alive = list[list[bool]]()

    def run() -> Result:
        alive.append([each() is not None for each in made])
        result = Result()
        made.append(weakref.ref(result))
        return result

    times_s = time_on_cpu(Runnable(run, lambda: None), repeats=3)
    assert len(times_s) == 3
    assert alive == [[False] * (calls - 1) + [True] * (calls > 0) for calls in range(len(made))]
    assert not any(each() for each in made)


def test_before_each_call_the_caches_are_filled_and_then_hold_what_was_just_produced():
    produced = torch.rand(4, 8)
    before = produced.clone()
    with Log() as log:
        op = Runnable(lambda: log.events.append("run"), lambda: log.events.append("restore"), (produced,))
        time_on_cpu(op, repeats=1)
    restored, other, again, ran = log.events[-4:]
    assert (restored, ran) == ("restore", "run")
    assert isinstance(other, tuple)
    assert other[1] >= 2 * (last_cache_bytes() or 1)
    assert again == (produced.data_ptr(), produced.nbytes)
    assert torch.equal(produced, before)


def test_what_the_caches_cannot_hold_is_not_written_again():
    produced = torch.zeros(2**24 + 1, dtype=torch.uint8)
    with Log() as log:
        time_on_cpu(Runnable(lambda: None, lambda: None, (produced,)), repeats=1)
    assert log.events
    assert all(isinstance(each, tuple) and each[0] != produced.data_ptr() for each in log.events)


@pytest.mark.parametrize(
    ("calls_with", "calls"),
    [
        (2, 2 + 5),  # those that make the results which are held before
        (5, 2 + 3 + 5),
        (1000, 2 + 4 * 5),  # four times as many as are wanted, and no more
    ],
)
def test_calls_that_get_new_pages_do_not_count_unless_all_do(calls_with: int, calls: int):
    made = list[None]()

    def run() -> None:
        made.append(None)
        if len(made) <= calls_with:
            with mmap(-1, 2**20) as pages:
                pages.write(bytes(2**20))

    assert len(time_on_cpu(Runnable(run, lambda: None), repeats=5)) == 5
    assert len(made) == calls
