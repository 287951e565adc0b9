import pytest
import torch

from steelyard.compiler.frontend.adapt.default_loss import sum_of_first_output
from steelyard.hw.base.errors import CaptureError

X = torch.tensor([1.0, 2.0], requires_grad=True)


def test_the_first_output_with_a_gradient_is_summed():
    assert sum_of_first_output({"loss": None, "ids": torch.tensor([7]), "y": (X, X * 2)}).item() == 3.0
    assert sum_of_first_output(torch.complex(X, X)).item() == 6.0


def test_an_output_named_loss_is_the_loss():
    assert sum_of_first_output({"y": X, "loss": X.mean()}).item() == 1.5


@pytest.mark.parametrize("outputs", [None, {"ids": torch.tensor([7])}])
def test_nothing_to_differentiate_asks_for_a_loss(outputs):
    with pytest.raises(CaptureError, match=r"return \(module, example_inputs, loss\)"):
        sum_of_first_output(outputs)
