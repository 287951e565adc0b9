"""Tensors of other kinds than dense ones are counted or refused, never priced as nothing."""

import pytest

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import CaptureError
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass

REFUSED = [
    "y.to_sparse()",
    "torch.nested.nested_tensor([y[0], y[1]])",
    "y.as_subclass(Sub) + 1",
]
COUNTED = [
    "torch.quantize_per_tensor(y, 0.1, 0, torch.qint8)",
]


def model_of(expression: str, folder) -> str:
    path = folder / "model.py"
    path.write_text(
        "import torch\n"
        "class Sub(torch.Tensor):\n"
        "    pass\n"
        "class Model(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        y = x * 2\n"
        f"        return {expression}\n"
        "def make():\n"
        "    return Model(), torch.randn(4, 8)\n"
    )
    return f"{path}:make"


@pytest.mark.parametrize("expression", REFUSED)
def test_tensors_that_are_refused(expression, tmp_path):
    options = CaptureOptions()
    with pytest.raises(CaptureError):
        capture(load_spec(model_of(expression, tmp_path), options), options)


@pytest.mark.parametrize("expression", COUNTED)
def test_what_is_not_known_is_counted(expression, tmp_path):
    options = CaptureOptions()
    module = import_program(capture(load_spec(model_of(expression, tmp_path), options), options))
    AnnotateCostPass().apply(make_context(), module)
    assert read_totals(module)["work"]["coverage"]["unknown"] == 1
