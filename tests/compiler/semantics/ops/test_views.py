"""Views share storage and cost nothing, for every op whose schema in torch says that it returns a view."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType

X = TensorType((4, 4), "f32")


def returns_a_view(schema: Any) -> bool:
    kinds = {str(each.type) for each in schema.returns}
    aliased = any(each.alias_info and not each.alias_info.is_write for each in schema.returns)
    takes = bool(schema.arguments) and str(schema.arguments[0].type) == "Tensor"
    return schema.name.startswith("aten::") and aliased and takes and kinds <= {"Tensor", "List[Tensor]"}


VIEWS = [schema for schema in torch._C._jit_get_all_schemas() if returns_a_view(schema)]


def name_of(schema: Any) -> str:
    return schema.name.replace("::", ".") + (f".{schema.overload_name}" if schema.overload_name else "")


@pytest.mark.parametrize("schema", VIEWS, ids=name_of)
def test_what_the_schema_calls_a_view_is_one(schema: Any):
    source = schema.arguments[0].name
    work = work_of(OpCall(name_of(schema), ((source, X),), {}, (X,)))
    assert work is not None
    assert work.is_view
    assert work.aliases == ((0, source),)
    assert work.bytes_unique == 0


def test_the_schema_was_read():
    assert len(VIEWS) > 80


def test_a_conversion_is_a_copy_when_it_converts():
    work = work_of(OpCall("aten.to.dtype", (("self", X),), {}, (TensorType((4, 4), "bf16"),)))
    assert work is not None
    assert not work.is_view
    assert (work.bytes_read, work.bytes_written) == (64, 32)


def test_all_parts_of_a_split_share_one_storage():
    work = work_of(OpCall("aten.split.Tensor", (("self", X),), {"dim": 0}, (TensorType((2, 4), "f32"),) * 2))
    assert work is not None
    assert work.aliases == ((0, "self"), (1, "self"))


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x.add_(x),
        lambda x: x.mul_(2),
        lambda x: x.zero_(),
        lambda x: x.copy_(x.clone()),
        lambda x: x.clamp_(0, 1),
        lambda x: x.bernoulli_(0.5),
        lambda x: x.index_put_((torch.tensor([0]),), torch.ones(4)),
        lambda x: x.scatter_(0, torch.zeros(1, 4, dtype=torch.long), 1.0),
    ],
)
def test_in_place_ops_write_their_argument(run: Callable[[Any], Any], record: Callable[[], Any]):
    x = torch.rand(4, 4)
    with record() as recorder:
        run(x)
    work = work_of(recorder.calls[-1])
    assert work is not None
    assert work.mutates == ("self",)
    assert work.aliases == ((0, "self"),)
    assert work.bytes_written > 0
