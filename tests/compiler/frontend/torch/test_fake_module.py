import copy

import pytest
import torch
from torch import nn

from steelyard.compiler.frontend.torch.fake_module import copying_fakes
from steelyard.compiler.frontend.torch.torch_private import FakeTensor, FakeTensorMode


def test_a_copy_has_its_own_fakes_and_keeps_what_is_tied_and_frozen():
    with FakeTensorMode() as mode, copying_fakes():
        net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
        net[2].weight = net[0].weight
        net[0].bias.requires_grad_(False)
        other = copy.deepcopy(net)
    assert other[0].weight is other[2].weight
    assert other[0].weight is not net[0].weight
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in net.parameters()]
    for tensor in [*other.parameters(), *other.buffers()]:
        assert isinstance(tensor, FakeTensor)
        assert tensor.fake_mode is mode
    assert all(isinstance(p, nn.Parameter) for p in other.parameters())


def test_a_result_of_autograd_cannot_be_copied():
    with FakeTensorMode(), copying_fakes(), pytest.raises(RuntimeError, match="only leaves"):
        copy.deepcopy(nn.Linear(2, 2)(torch.ones(2)))
