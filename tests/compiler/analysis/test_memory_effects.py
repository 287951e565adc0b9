"""Effects of torch's ops, as upstream passes see them."""

import pytest
from xdsl.traits import MemoryEffectKind, get_effects
from xdsl.transforms.dead_code_elimination import DeadCodeElimination

from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program

READ, WRITE, ALLOC = MemoryEffectKind.READ, MemoryEffectKind.WRITE, MemoryEffectKind.ALLOC


def program(*lines: str) -> str:
    body = "\n".join(lines)
    return f"""builtin.module {{ func.func @forward(%a : tensor<4xf32>, %b : tensor<4xf32>) -> () {{
    {body}
    func.return }} }}"""


def effects(line: str, *after: str) -> set[MemoryEffectKind] | None:
    """The kinds of effects of the first op."""
    op = next(op for op in parse_program(program(line, *after)).walk() if isinstance(op, TorchOp))
    found = get_effects(op)
    return None if found is None else {each.kind for each in found}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%1 = aten.relu(%a) : tensor<4xf32>", {READ}),
        ("%1 = aten.view(%a, size = [2, 2]) : tensor<2x2xf32>", set()),
        ("%1 = aten.zeros(size = [4]) : tensor<4xf32>", set()),
        ("%1 = aten.relu_(%a) : tensor<4xf32>", {READ, WRITE}),
        ("%1 = aten.bitwise_and.Tensor(%a, %b) : tensor<4xf32>", {READ}),
        ("%1 = aten.__and__.Tensor(%a, %b) : tensor<4xf32>", {READ}),
        ("%1 = aten.rand(size = [4]) : tensor<4xf32>", {WRITE}),
        (
            '%1 = _c10d_functional.all_reduce(%a, reduce_op = "sum", group_name = "0") : tensor<4xf32>',
            {READ, WRITE},
        ),
        ('%1 = torch.op "mylib::scale(Tensor x) -> Tensor"(%a) : tensor<4xf32>', None),
    ],
)
def test_effects_follow_from_schema_and_work(line: str, expected: set[MemoryEffectKind] | None) -> None:
    assert effects(line) == expected


def test_dropout_in_attention_draws_random_numbers() -> None:
    head = "%q = aten.view(%a, size = [1, 1, 2, 2]) : tensor<1x1x2x2xf32>"
    types = "tensor<1x1x2x2xf32>, tensor<1x1x2xf32>"
    for dropout, expected in (("0.0", {READ}), ("0.1", {READ, WRITE})):
        call = f"aten._scaled_dot_product_flash_attention_for_cpu(%q, %q, %q, dropout_p = {dropout})"
        module = parse_program(program(head, f"%1, %2 = {call} : {types}"))
        *_, op = (op for op in module.walk() if isinstance(op, TorchOp))
        assert {each.kind for each in get_effects(op) or ()} == expected


def test_a_result_that_is_mutated_through_a_view_is_an_allocation() -> None:
    made, view = "%1 = aten.exp(%a) : tensor<4xf32>", "%2 = aten._unsafe_view(%1, size = [4]) : tensor<4xf32>"
    assert effects(made, view) == {READ}
    assert effects(made, view, "%3 = aten.add_.Tensor(%2, %b) : tensor<4xf32>") == {READ, ALLOC}


def test_a_batch_norm_in_training_writes_its_statistics() -> None:
    call = (
        "%1, %2, %3 = aten.native_batch_norm(%x, weight = none, bias = none, running_mean = %m, "
        "running_var = %m, training = {}, momentum = 0.1, eps = 1.0e-05)"
        " : tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>"
    )
    for training, expected in (("true", {READ, WRITE}), ("false", {READ})):
        lines = (
            "%x = aten.zeros(size = [2, 4]) : tensor<2x4xf32>",
            "%m = aten.zeros(size = [4]) : tensor<4xf32>",
        )
        module = parse_program(program(*lines, call.format(training)))
        *_, op = (op for op in module.walk() if isinstance(op, TorchOp))
        assert {each.kind for each in get_effects(op) or ()} == expected


def test_a_live_value_keeps_the_end_of_its_reference() -> None:
    module = parse_program(
        program(
            "%1 = aten.exp(%a) : tensor<4xf32>",
            "%2 = aten.add_.Tensor(%b, %1) : tensor<4xf32>",
            "program.drop %1 : tensor<4xf32>",
        )
    )
    before = format_program(module)
    DeadCodeElimination().apply(make_context(), module)
    assert format_program(module) == before
