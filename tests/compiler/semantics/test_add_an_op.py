"""The how-to says what is true: its examples run, and a custom op is understood once it has an entry."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.registry import einsum, work_of
from steelyard.compiler.semantics.tensor_type import TensorType

HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "add-an-op.md"


def test_the_examples_run():
    code = "\n".join(re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL))
    exec(compile(code, str(HOWTO), "exec"), {})
    x = TensorType((3, 4), "f32")
    swish = work_of(OpCall("mylib.swish_", (("x", x),), {}, (x,), writes=frozenset({"x"})))
    assert swish is not None
    assert swish.flops.total == 4 * 12
    assert swish.mutates == ("x",)


def test_a_custom_op_of_torch_is_understood_once_it_has_an_entry(record: Callable[[], Any]):
    @torch.library.custom_op("semantics_test::product", mutates_args=())
    def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y

    with record() as recorder:
        product(torch.ones(5, 3), torch.ones(3, 7))
    (call,) = [each for each in recorder.calls if not each.name.startswith("aten.")]
    assert call.name == "semantics_test.product"
    assert work_of(call) is None
    einsum("semantics_test.product", "m k, k n -> m n")
    work = work_of(call)
    assert work is not None
    assert work.flops.contraction == 2 * 5 * 3 * 7
