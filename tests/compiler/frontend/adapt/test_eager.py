import torch
from torch import nn
from torch.distributions import Distribution, Normal

from steelyard.compiler.frontend.adapt.eager import eagerly, is_compiled


def refuse(*args: object) -> None:
    raise AssertionError("compiled")


class Compiled(nn.Module):
    @torch.compile(backend=refuse)
    def forward(self, x):
        return x


def test_what_is_compiled_runs_eagerly():
    earlier = torch.compile(nn.Linear(2, 2), backend=refuse)
    with eagerly():
        later = torch.compile(lambda x: 2 * x, backend=refuse)
        assert torch.equal(later(torch.ones(2)), 2 * torch.ones(2))
        assert earlier(torch.ones(2)).shape == (2,)


def test_a_part_that_is_compiled_is_found():
    part = nn.Linear(2, 2)
    part.compile(backend=refuse)
    for module in (torch.compile(nn.Linear(2, 2)), nn.Sequential(part), Compiled()):
        assert is_compiled(module)
    assert not is_compiled(nn.Linear(2, 2))


def test_arguments_of_distributions_are_not_checked():
    before = Distribution._validate_args
    with eagerly():
        assert Normal(0.0, -1.0).scale == -1
    assert Distribution._validate_args is before
