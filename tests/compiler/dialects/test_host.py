import pytest
import torch

from steelyard.compiler.analysis.liveness import liveness
from steelyard.compiler.emit.host_copy import from_host, store_on_host, to_host
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.hw.base.errors import IRError

TEXT = """builtin.module {
  func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> {
    %0 = aten.relu(%x) : tensor<4xf32>
    %h = host.offload %0 : tensor<4xf32> -> !host.copy<tensor<4xf32>>
    program.drop %0 : tensor<4xf32>
    %1 = aten.exp(%x) : tensor<4xf32>
    %y = host.fetch %h : !host.copy<tensor<4xf32>> -> tensor<4xf32>
    %2 = aten.mul.Tensor(%y, %1) : tensor<4xf32>
    func.return %2 : tensor<4xf32>
  }
}
"""


def test_it_prints_as_it_is_read():
    assert format_program(parse_program(TEXT)) == TEXT


def test_what_is_on_the_host_takes_no_memory_of_the_device():
    assert liveness(parse_program(TEXT)).peak_bytes == 16 * 4  # x, and at the last op y, 1 and 2


def test_a_copy_is_of_the_type_of_its_tensor():
    with pytest.raises(IRError, match=r"not !host\.copy<tensor<8xf32>>"):
        parse_program(TEXT.replace("!host.copy<tensor<4xf32>>", "!host.copy<tensor<8xf32>>"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.int64])
def test_a_tensor_comes_back_as_it_went(dtype):
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype).permute(2, 0, 1).contiguous().permute(1, 2, 0)
    back = from_host(to_host(tensor))
    assert torch.equal(back, tensor)
    assert back.stride() == tensor.stride()
    assert back.dtype == dtype


def test_state_on_the_host_is_overwritten_where_it_is():
    text = """builtin.module {
  func.func @forward(%h: !host.copy<tensor<4xf32>>) {
    %x = host.fetch %h : !host.copy<tensor<4xf32>> -> tensor<4xf32>
    host.store %x, %h : tensor<4xf32> -> !host.copy<tensor<4xf32>>
    func.return
  }
}
"""
    assert format_program(parse_program(text)) == text
    assert liveness(parse_program(text)).peak_bytes == 4 * 4
    other = text.replace("(%h", "(%z: tensor<8xf32>, %h")
    other = other.replace("store %x, %h : tensor<4", "store %z, %h : tensor<8")
    with pytest.raises(IRError, match=r"has type !host\.copy<tensor<8xf32>>, not"):
        parse_program(other)
    kept = to_host(torch.zeros(4))
    before = kept.clone()
    store_on_host(torch.ones(4), kept)
    assert torch.equal(from_host(kept), torch.ones(4))
    assert torch.equal(from_host(before), torch.zeros(4))
