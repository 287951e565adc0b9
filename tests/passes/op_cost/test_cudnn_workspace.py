import pytest

from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.op_cost.workspace import workspace_of

CALL = "stride = [1, 1], padding = [1, 1], dilation = [1, 1], transposed = false, output_padding = [0, 0]"


def workspace(channels: int, groups: int, device: str) -> int:
    image = f"tensor<8x{channels}x56x56xf32>"
    weight = f"tensor<{channels}x{channels // groups}x3x3xf32>"
    module = parse_program(f"""
    func.func @forward(%x : {image}, %w : {weight}) -> {image} {{
      %1 = aten.convolution(%x, %w, {CALL}, groups = {groups}) : {image}
      func.return %1 : {image}
    }}
    """)
    AnnotateCostPass().apply(make_context(), module)
    [convolution, _] = entry_function(module).body.block.ops
    return workspace_of(load_device(device))(convolution)


def test_winograd_transforms_its_filters():
    """F(2x2, 3x3) has 16 values for each of 64 x 64 filters; the unfused one has more, and the images too."""
    assert workspace(64, 1, "t4") >= 16 * 64 * 64 * 4


@pytest.mark.parametrize("device", ["mi300x", "tpu-v4"])
def test_libraries_of_other_vendors_are_not_known(device):
    assert workspace(64, 1, device) == 0


def test_depthwise_kernels_are_pytorchs_own():
    assert workspace(64, 64, "t4") == 0
