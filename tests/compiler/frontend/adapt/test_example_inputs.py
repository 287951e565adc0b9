from collections import UserDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from steelyard.compiler.frontend.adapt.example_inputs import bind_inputs
from steelyard.hw.base.errors import CaptureError

A, B = torch.ones(2), torch.zeros(2)
Pair = namedtuple("Pair", "first second")


def module(forward) -> nn.Module:
    return type("Given", (nn.Module,), {"forward": forward})()


one = module(lambda self, batch: batch)
two = module(lambda self, a, b=None, *, scale=1.0: a)
rest = module(lambda self, *args, scale: args)
anything = module(lambda self, *args, **kwargs: args)
positional = module(lambda self, a, b, /: a)


@pytest.mark.parametrize(
    ("given", "inputs", "names", "num_positional"),
    [
        (two, A, ["a"], 1),
        (two, (A, B), ["a", "b"], 2),
        (two, {"a": A, "scale": 2.0}, ["a", "scale"], 0),
        (two, ((A,), {"scale": 2.0}), ["a", "b"], 2),
        (rest, ((A, B), {"scale": 2.0}), ["args.0", "args.1", "scale"], 2),
        (anything, (A, B), ["args.0", "args.1"], 2),
        (anything, {"a": A}, ["a"], 0),
        (positional, (A, B), ["a", "b"], 2),
        (one, {"a": A, "b": B}, ["batch"], 1),
        (one, {"batch": A}, ["batch"], 0),
        (one, UserDict(batch=A), ["batch"], 0),
        (one, [A, B], ["batch"], 1),
        (one, Pair(A, B), ["batch"], 1),
        (positional, Pair(A, B), ["a", "b"], 2),
        (one, SimpleNamespace(a=A), ["batch"], 1),
        (one, None, ["batch"], 1),
        (nn.DataParallel(one), {"a": A, "b": B}, ["batch"], 1),
        (torch.jit.trace(nn.Linear(2, 2), A), A, ["args.0"], 1),
    ],
)
def test_inputs_are_bound_as_forward_takes_them(given, inputs, names, num_positional):
    bound, count = bind_inputs(given, inputs)
    assert [*bound] == names
    assert count == num_positional


def test_inputs_that_do_not_fit():
    with pytest.raises(CaptureError, match=r"too many positional arguments; it is forward\(a, b, /\)"):
        bind_inputs(positional, (A, B, A))
