import torch
from torch._higher_order_ops import while_loop

from steelyard.compiler.frontend.adapt.eager import eagerly

X = torch.ones(3)


def test_results_and_gradients_of_cond_are_those_of_the_branch_taken():
    weight = torch.ones(3, requires_grad=True)
    with eagerly():
        y = torch.cond(X.sum() > 0, lambda x: x * weight, lambda x: x - weight, (X,))
    y.sum().backward()
    assert torch.equal(y, X)
    assert torch.equal(weight.grad, X)


def test_torch_is_as_before_afterwards():
    with eagerly():
        while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, 2 * x), (torch.tensor(0), X))
    _, y = while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, 2 * x), (torch.tensor(0), X))
    assert torch.equal(y, 4 * X)
