from time import perf_counter

import torch
from time_marked_ops import times_marked_s

from steelyard.compiler.ir.text import parse_program
from steelyard.runtime.execute.single_process import compile_program
from steelyard.runtime.timing.steady_state import measure_peak_bytes

TEXT = """builtin.module { func.func @forward(%x: tensor<400x400xf32>) -> tensor<400x400xf32> {
    %0 = aten.mm(%x, %x) : tensor<400x400xf32>
    %1 = aten.mm(%0, %x) {recomputed} : tensor<400x400xf32>
    %2 = aten.mm(%1, %x) : tensor<400x400xf32>
    func.return %2 : tensor<400x400xf32> } }"""


UNUSED_VIEW = """builtin.module { func.func @forward(%x: tensor<400x400xf32>) -> tensor<400x400xf32> {
    %0 = aten.mm(%x, %x) : tensor<400x400xf32>
    %1 = aten.t(%0) : tensor<400x400xf32>
    %2 = aten.mm(%0, %x) : tensor<400x400xf32>
    %3 = aten.mm(%2, %x) : tensor<400x400xf32>
    func.return %3 : tensor<400x400xf32> } }"""


def test_memory_is_held_no_longer_than_by_the_compiled_program():
    module, x = parse_program(UNUSED_VIEW), [torch.zeros(400, 400)]
    run = compile_program(module)
    compiled_bytes = measure_peak_bytes(lambda: run(*x), x)
    assert compiled_bytes == 3 * x[0].nbytes
    assert measure_peak_bytes(lambda: times_marked_s(module, x, "recomputed"), x) == compiled_bytes


def test_only_what_is_marked_is_timed():
    module, x = parse_program(TEXT), [torch.zeros(400, 400)]
    told = list[str]()
    start = perf_counter()
    (marked_s,) = times_marked_s(module, x, "recomputed", before=lambda op: told.append(op.name))
    assert 0 < marked_s < perf_counter() - start
    assert told == ["aten.mm"]
    assert times_marked_s(module, x, "another") == []
