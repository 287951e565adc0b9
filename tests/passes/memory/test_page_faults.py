"""Which ops get fresh pages, by the rules of malloc."""

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.allocators.glibc import PAGE_BYTES
from steelyard.passes.memory.page_faults import fresh_bytes

MIB = 2**20


def pages(mebibytes: int, *names: str, scratch_bytes: int = 0) -> dict[str, float]:
    """Fresh bytes by the name of the op, of ops one after the other whose results are of this size.

    Args:
        mebibytes: Of each result.
        names: Of the ops.
        scratch_bytes: That each takes while it runs.
    """
    tensor = f"tensor<{mebibytes}x{MIB // 4}xf32>"
    lines = "".join(f"%{k + 1} = aten.{name}(%{k}) : {tensor}\n" for k, name in enumerate(names))
    module = parse_program(f"""builtin.module {{
        func.func @forward(%0: {tensor} {{program.role = "input"}}) -> {tensor} {{
          {lines} func.return %{len(names)} : {tensor} }} }}""")
    found = fresh_bytes(Analyses(module), lambda op: scratch_bytes if isinstance(op, TorchOp) else 0)
    return {operator_name(op): size for op, size in found.items() if isinstance(op, TorchOp)}


def test_results_above_32_mib_are_on_fresh_pages_in_every_step():
    mapped = 33 * MIB + PAGE_BYTES
    assert pages(33, "relu", "tanh") == {"aten.relu": mapped, "aten.tanh": mapped}


def test_a_heap_of_less_than_twice_the_largest_state_of_an_optimizer_is_kept():
    tensor = f"tensor<4x{MIB // 4}xf32>"
    results = "".join(f"%{k} = aten.relu(%0) : {tensor}\n" for k in range(1, 9))
    returned = ", ".join(f"%{k}" for k in range(1, 9)), ", ".join([tensor] * 8)

    def fresh(state_mebibytes: int) -> float:
        module = parse_program(f"""builtin.module {{
            func.func @forward(%0: {tensor} {{program.role = "input"}},
                %s: tensor<{state_mebibytes}x{MIB // 4}xf32> {{program.role = "optimizer_state"}})
                -> ({returned[1]}) {{
              {results} func.return {returned[0]} : {returned[1]} }} }}""")
        return sum(fresh_bytes(Analyses(module), lambda op: 0).values())

    assert fresh(31) < fresh(1)


def test_scratch_of_a_kernel_counts_where_it_is_taken_less_what_copies_its_operands():
    assert 39 * MIB <= pages(1, "relu", scratch_bytes=40 * MIB)["aten.relu"] <= 41 * MIB


def test_an_op_that_runs_in_a_function_that_is_called_twice_gets_the_pages_of_both():
    tensor = f"tensor<33x{MIB // 4}xf32>"
    module = parse_program(f"""builtin.module {{
        func.func @forward(%0: {tensor} {{program.role = "input"}}) -> {tensor} {{
          %1 = func.call @block(%0) : ({tensor}) -> {tensor}
          %2 = func.call @block(%1) : ({tensor}) -> {tensor}
          func.return %2 : {tensor} }}
        func.func private @block(%0: {tensor}) -> {tensor} {{
          %1 = aten.relu(%0) : {tensor}
          func.return %1 : {tensor} }} }}""")
    assert [*fresh_bytes(Analyses(module), lambda op: 0).values()] == [2 * (33 * MIB + PAGE_BYTES)]
