from time import perf_counter

import torch

from steelyard.compiler.text import parse_program
from steelyard.runtime.marked_time import time_marked_s

TEXT = """builtin.module { func.func @forward(%x: tensor<400x400xf32>) -> tensor<400x400xf32> {
    %0 = aten.mm(%x, %x) : tensor<400x400xf32>
    %1 = aten.mm(%0, %x) {recomputed} : tensor<400x400xf32>
    %2 = aten.mm(%1, %x) : tensor<400x400xf32>
    func.return %2 : tensor<400x400xf32> } }"""


def test_only_what_is_marked_counts():
    x = [torch.zeros(400, 400)]
    start = perf_counter()
    marked_s = time_marked_s(parse_program(TEXT), x, "recomputed")
    assert 0 < marked_s < perf_counter() - start
    assert time_marked_s(parse_program(TEXT), x, "another") == 0
