from functools import reduce
from operator import matmul

from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.timeline.host_and_device import SYNCHRONISATION, Clocks, dispatched, host_only

times = st.floats(0, 1e4)
pieces = st.one_of(st.builds(dispatched, times, times), st.builds(host_only, times), st.just(SYNCHRONISATION))
kernels = st.lists(st.tuples(times, times), min_size=1)


@given(pieces, pieces, pieces)
def test_how_a_program_is_cut_does_not_matter(first: Clocks, second: Clocks, third: Clocks) -> None:
    assert (first @ second) @ third == first @ (second @ third)
    assert Clocks() @ first == first == first @ Clocks()


@given(kernels)
def test_kernels_are_done_when_both_clocks_say_so(given_us: list[tuple[float, float]]) -> None:
    host_us = device_us = 0.0
    for call_us, kernel_us in given_us:
        host_us += call_us
        device_us = max(device_us, host_us) + kernel_us
    found = reduce(matmul, (dispatched(*each) for each in given_us))
    assert abs(found.end_us - device_us) < 1e-3
    assert abs(found.host_to_host - host_us) < 1e-3


def test_the_host_waits_at_a_synchronisation_and_kernels_after_it_for_the_host() -> None:
    before, after = dispatched(10, 100), dispatched(20, 5)
    assert (before @ after).end_us == 10 + 100 + 5
    assert (before @ SYNCHRONISATION @ after).end_us == 10 + 100 + 20 + 5
    assert (host_only(7) @ before).end_us == 7 + 10 + 100
