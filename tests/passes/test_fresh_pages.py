"""Which ops get fresh pages, by the rules of malloc."""

from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.text import parse_program
from steelyard.hw.allocators.glibc import PAGE_BYTES
from steelyard.passes.fresh_pages import fresh_bytes

MIB = 2**20


def pages(
    mebibytes: int, *names: str, scratch_bytes: int = 0, phase: str = "forward", state_mebibytes: int = 0
) -> dict[str, int]:
    """Fresh bytes by the name of the op, of ops one after the other whose results are of this size.

    Args:
        mebibytes: Of each result.
        names: Of the ops.
        scratch_bytes: That each takes while it runs.
        phase: Of the last op.
        state_mebibytes: Of an optimizer's state, which the program has if there is any.
    """
    tensor = f"tensor<{mebibytes}x{MIB // 4}xf32>"
    phases = ["forward"] * (len(names) - 1) + [phase]
    lines = "".join(
        f'%{k + 1} = aten.{name}(%{k}) {{phase = "{where}"}} : {tensor}\n'
        for k, (name, where) in enumerate(zip(names, phases, strict=True))
    )
    state = f', %s: tensor<{state_mebibytes}x{MIB // 4}xf32> {{program.role = "optimizer_state"}}'
    arguments = f'%0: {tensor} {{program.role = "input"}}{state if state_mebibytes else ""}'
    module = parse_program(f"""builtin.module {{ func.func @forward({arguments}) -> {tensor} {{
        {lines} func.return %{len(names)} : {tensor} }} }}""")
    found = fresh_bytes(module, lambda op: scratch_bytes if isinstance(op, TorchOp) else 0)
    return {operator_name(op): size for op, size in found.items() if isinstance(op, TorchOp)}


def test_results_above_32_mib_are_on_fresh_pages_in_every_step():
    mapped = 33 * MIB + PAGE_BYTES
    assert pages(33, "relu", "tanh") == {"aten.relu": mapped, "aten.tanh": mapped}


def test_a_heap_that_malloc_keeps_is_written_again_without_faults():
    assert pages(1, "relu") == {}


def test_a_heap_of_more_than_twice_the_largest_result_is_given_back_and_faults():
    # What is left of the heap after it was given back: 128 KiB and 32 bytes in whole pages.
    chunk_bytes, kept_bytes = MIB + 96, 33 * PAGE_BYTES
    assert pages(1, "relu", "tanh") == {"aten.relu": chunk_bytes - kept_bytes, "aten.tanh": chunk_bytes}


def test_a_heap_of_less_than_twice_the_largest_state_of_an_optimizer_is_kept():
    assert pages(1, "relu", "tanh", "exp", state_mebibytes=1) != {}
    assert pages(1, "relu", "tanh", "exp", state_mebibytes=2) == {}


def test_what_autograd_leaves_at_the_start_of_the_backward_pass_keeps_what_lies_below():
    names = ("relu", "tanh", "exp")
    assert set(pages(1, *names, state_mebibytes=1)) == {"aten.relu", "aten.tanh"}
    assert pages(1, *names, state_mebibytes=1, phase="backward") == {}


def test_what_a_library_keeps_of_a_kernel_keeps_the_heap():
    assert pages(1, "relu", "tanh", "exp", state_mebibytes=1, scratch_bytes=64) == {}


def test_scratch_of_a_kernel_counts_where_it_is_taken():
    assert pages(1, "relu", scratch_bytes=40 * MIB)["aten.relu"] >= 40 * MIB + PAGE_BYTES
