"""New pages of ops, by the size of each result."""

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.ir.text import parse_program
from steelyard.passes.memory.page_faults import mapped_bytes

MIB = 2**20


def pages(mebibytes: int, ops: str) -> dict[str, int]:
    """Bytes of new pages by the name of the op, of a program whose tensors T are of this size."""
    tensor = f"tensor<{mebibytes}x{MIB // 4}xf32>"
    module = parse_program(f"""builtin.module {{
        func.func @forward(%0: {tensor} {{program.role = "input"}}) -> {tensor} {{
          {ops.replace("T", tensor)} func.return %r : {tensor} }}
        func.func private @block(%0: {tensor}) -> {tensor} {{
          %1 = aten.tanh(%0) : {tensor}
          func.return %1 : {tensor} }} }}""")
    found = mapped_bytes(Analyses(module))
    return {operator_name(op): size for op, size in found.items() if isinstance(op, TorchOp)}


def test_a_result_of_32_mib_is_mapped_anew_and_a_smaller_one_is_not():
    call = "%r = func.call @block(%0) : (T) -> T\n"
    assert pages(32, call) == {"aten.tanh": 32 * MIB}
    assert pages(31, call) == {}


def test_what_an_op_writes_in_place_is_not_new():
    in_place = "%1 = aten.relu_(%0) : T\n %r = aten.sigmoid(%1) : T\n"
    assert pages(33, in_place) == {"aten.sigmoid": 33 * MIB}
