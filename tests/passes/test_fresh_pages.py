"""Which ops get fresh pages, by the rules of malloc."""

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.text import parse_program
from steelyard.hw.allocators.glibc import PAGE_BYTES
from steelyard.passes.fresh_pages import fresh_bytes

MIB = 2**20


def pages(mebibytes: int, *names: str, scratch_bytes: int = 0) -> dict[str, int]:
    """Fresh bytes by the name of the op, of ops one after the other whose results are of this size."""
    tensor = f"tensor<{mebibytes}x{MIB // 4}xf32>"
    lines = "".join(f"%{k + 1} = aten.{name}(%{k}) : {tensor}\n" for k, name in enumerate(names))
    module = parse_program(f"""builtin.module {{ func.func @forward(%0 : {tensor}) -> {tensor} {{
        {lines} func.return %{len(names)} : {tensor} }} }}""")
    found = fresh_bytes(module, lambda op: scratch_bytes if isinstance(op, TorchOp) else 0)
    return {operator_name(op): size for op, size in found.items() if isinstance(op, TorchOp)}


def test_results_above_32_mib_are_on_fresh_pages_in_every_step():
    mapped = 33 * MIB + PAGE_BYTES
    assert pages(33, "relu", "tanh") == {"aten.relu": mapped, "aten.tanh": mapped}


def test_a_heap_that_malloc_keeps_is_written_again_without_faults():
    assert pages(1, "relu") == {}


def test_a_heap_of_more_than_twice_the_largest_result_is_given_back_and_faults():
    # What is left of the heap after it was given back: 128 KiB and 32 bytes in whole pages, less what stays.
    chunk_bytes, kept_bytes = MIB + 96, 33 * PAGE_BYTES - 256
    assert pages(1, "relu", "tanh") == {"aten.relu": chunk_bytes - kept_bytes, "aten.tanh": chunk_bytes}


def test_scratch_of_a_kernel_counts_where_it_is_taken():
    assert pages(1, "relu", scratch_bytes=40 * MIB)["aten.relu"] >= 40 * MIB + PAGE_BYTES
