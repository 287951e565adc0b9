from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch.distributions import Independent, Normal, OneHotCategorical

from steelyard.compiler.frontend.adapt.named_tensors import named_tensors

ONE = torch.ones(2)
Pair = namedtuple("Pair", "first second")


@dataclass(slots=True)
class Batch:
    x: torch.Tensor
    steps: int
    more: object = None


class Slotted:
    __slots__ = ("empty", "y")

    def __init__(self) -> None:
        self.y = ONE


def names(value: object) -> list[str]:
    return [name for name, _ in named_tensors(value)]


def test_containers_of_all_kinds():
    assert names(ONE) == ["output"]
    assert names(OrderedDict(a=ONE, b=[ONE, None, 3])) == ["a", "b.0"]
    assert names({0: Pair(ONE, deque([ONE]))}) == ["0.first", "0.second.0"]
    assert names(Batch(ONE, 3, SimpleNamespace(y=ONE))) == ["x", "more.y"]
    assert names([Slotted()]) == ["0.y"]


def test_distributions_by_their_parameters():
    assert names(Normal(ONE, 2 * ONE)) == ["loc", "scale"]
    assert names(Independent(Normal(ONE, 2 * ONE), 1)) == ["base_dist.loc", "base_dist.scale"]
    assert names(OneHotCategorical(logits=ONE, validate_args=False)) == ["_categorical.logits"]


def test_what_holds_itself_and_what_is_no_container():
    loop = {"x": ONE}
    loop["self"] = loop
    assert names(loop) == ["x"]
    assert names([torch.nn.Linear(2, 2), torch.float32, "text", None, torch.nn.Linear]) == []
