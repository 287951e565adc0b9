import pytest

from steelyard.hw.allocators.context import context_overhead, parse_version
from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.registry import load_device
from steelyard.hw.scratch.cublas import cublas_workspace_bytes

MIB = 2**20


def test_nothing_on_a_cpu():
    assert context_overhead(load_device("cpu")).high == 0


def test_kernels_that_are_loaded_at_once_take_more():
    t4 = load_device("t4")
    assert context_overhead(t4, (10, 1)).value == 877 * MIB
    assert context_overhead(t4, (11, 7)) == context_overhead(t4)
    assert context_overhead(t4).high < context_overhead(t4, (11, 6)).low


def test_a_board_has_its_last_version_and_shares_memory_with_its_system():
    tx2 = load_device("jetson-tx2")
    assert context_overhead(tx2) == context_overhead(tx2, (10, 2))
    assert context_overhead(tx2).low > 1024 * MIB
    with pytest.raises(UsageError, match=r"last version .* is 10\.2"):
        context_overhead(tx2, (11, 8))


@pytest.mark.parametrize("device", ["t4", "a100-40gb-sxm", "h100-sxm", "jetson-tx2", "k80", "mi300x"])
def test_intervals_hold_their_value(device):
    found = context_overhead(load_device(device))
    assert 0 < found.low <= found.value <= found.high


def test_versions():
    assert parse_version("11.8") == (11, 8)
    with pytest.raises(UsageError, match="is no version"):
        parse_version("11")


def test_workspace_of_cublas():
    assert cublas_workspace_bytes(load_device("t4")) == 8_519_680
    assert cublas_workspace_bytes(load_device("h100-sxm")) == 32 * MIB
    assert cublas_workspace_bytes(load_device("t4"), (10, 2)) == 0
    assert cublas_workspace_bytes(load_device("cpu")) == 0
