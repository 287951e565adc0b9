"""What shard makes of single ops, and what it refuses."""

from itertools import pairwise

import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.remarks import collecting
from steelyard.hw.base.errors import IRError, UsageError
from steelyard.passes.sharding.shard import ShardPass

X = '%x : tensor<4x6xf32> {program.role = "input", program.path = "x"}'
W = '%w : tensor<6x6xf32> {program.role = "parameter", program.path = "w"}'


def shard(body: str, results: str, arguments: str = f"{X}, {W}", ranks: int = 2) -> str:
    """The text of the program of each rank, by data parallelism."""
    returned = ", ".join(f"%r{i}" for i in range(len(results.split(", "))))
    module = parse_program(
        f"func.func @forward({arguments}) -> ({results}) {{\n{body}\nfunc.return {returned} : {results}\n}}"
    )
    ShardPass(mesh=ranks, strategy="data").apply(make_context(), module)
    module.verify()
    return format_program(module)


def test_a_sum_along_the_batch_is_reduced_and_a_row_wise_op_is_not() -> None:
    text = shard(
        "%r0 = aten.sum.dim_IntList(%x, dim = [0]) : tensor<6xf32>\n"
        "%r1 = aten.sum.dim_IntList(%w, dim = [0]) : tensor<6xf32>",
        "tensor<6xf32>, tensor<6xf32>",
    )
    assert text.count("all_reduce") == 1
    assert "all_gather" not in text


def test_a_mean_along_the_batch_counts_the_whole_batch() -> None:
    text = shard("%r0 = aten.mean.dim(%x, dim = [0]) : tensor<6xf32>", "tensor<6xf32>")
    order = [text.index(name) for name in ("aten.mean", "aten.div.Scalar", "all_reduce")]
    assert all(a < b for a, b in pairwise(order))
    along_rows = shard(
        "%m = aten.mean.dim(%x, dim = [1]) : tensor<4xf32>\n%r0 = aten.relu(%m) : tensor<4xf32>",
        "tensor<4xf32>",
    )
    assert "aten.div" not in along_rows


def test_results_of_an_inference_are_gathered() -> None:
    text = shard("%r0 = aten.mm(%x, %w) : tensor<4x6xf32>", "tensor<4x6xf32>")
    assert "aten.mm(%x, %w) : tensor<2x6xf32>" in text
    assert "all_gather_into_tensor" in text


def test_sums_that_one_op_needs_are_formed_by_one_message() -> None:
    text = shard(
        "%a = aten.sum.dim_IntList(%x, dim = [0]) : tensor<6xf32>\n"
        "%b = aten.amax(%w, dim = [0]) : tensor<6xf32>\n"
        "%c = aten.sum.dim_IntList(%x, dim = [0], keepdim = true) : tensor<1x6xf32>\n"
        "%r0 = aten.addcmul(%a, %b, %c) : tensor<1x6xf32>",
        "tensor<1x6xf32>",
    )
    assert text.count("all_reduce") == text.count("all_reduce_coalesced([") == 1
    assert text.count("wait_tensor") == 2


def test_a_sum_that_two_users_need_is_formed_once() -> None:
    text = shard(
        "%s = aten.sum.dim_IntList(%x, dim = [0]) : tensor<6xf32>\n"
        "%r0 = aten.relu(%s) : tensor<6xf32>\n%r1 = aten.exp(%s) : tensor<6xf32>\n"
        "%r2 = aten.add.Tensor(%s, %s) : tensor<6xf32>",
        "tensor<6xf32>, tensor<6xf32>, tensor<6xf32>",
    )
    assert text.count("all_reduce") == 1


def test_a_bias_gradient_is_a_sum_and_an_input_gradient_a_block() -> None:
    text = shard(
        "%m = aten.sum.dim_IntList(%x, dim = [1], keepdim = true) : tensor<4x1xf32>\n"
        "%r0, %r1, %r2 = aten.native_layer_norm_backward(%x, %x, normalized_shape = [6], mean = %m, "
        "rstd = %m, weight = none, bias = none, output_mask = [true, true, true]) "
        ": tensor<4x6xf32>, tensor<6xf32>, tensor<6xf32>",
        "tensor<4x6xf32>, tensor<6xf32>, tensor<6xf32>",
    )
    assert text.count("all_reduce") == 2
    assert text.count("all_gather") == 1


def test_a_loss_of_targets_is_divided_by_the_weight_of_all_ranks() -> None:
    target = '%y : tensor<4xi64> {program.role = "target", program.path = "y"}'
    text = shard(
        "%r0, %n = aten.nll_loss_forward(%x, %y, reduction = 1, ignore_index = -100) "
        ": tensor<f32>, tensor<f32>",
        "tensor<f32>",
        f"{X}, {target}",
    )
    assert "reduction = 2" in text
    assert text.count("all_reduce") == 2
    order = [text.index(name) for name in ("nll_loss_forward(", "all_reduce", "aten.div.Tensor")]
    assert all(a < b for a, b in pairwise(order))


@pytest.mark.parametrize(
    ("op", "why"),
    [
        ("aten.cumsum(%x, dim = 0) : tensor<4x6xf32>", "not by a sum"),
        ("aten.tril(%x) : tensor<4x6xf32>", "where an element lies"),
        ("aten.slice.Tensor(%x, dim = 0, start = 0, end = 2) : tensor<2x6xf32>", "a part of dim 0"),
        ("aten.view(%x, size = [3, 8]) : tensor<3x8xf32>", "change their place"),
        ("aten.bernoulli(%x) : tensor<4x6xf32>", "random numbers"),
        ("aten.add.Tensor(%x, %b) : tensor<4x6xf32>", "not cut like"),
        ("aten.softmax.int(%x, dim = 0) : tensor<4x6xf32>", "not by a sum"),
    ],
)
def test_what_needs_the_whole_batch_is_refused(op: str, why: str) -> None:
    buffer = '%b : tensor<4x6xf32> {program.role = "buffer", program.path = "b"}'
    kind = op.rpartition(" : ")[2]
    body = f'%r0 = {op.partition(") : ")[0]}) {{path = "head", source = "model.py:7"}} : {kind}'
    with pytest.raises(IRError, match="on its part of the batch") as raised:
        shard(body, kind, f"{X}, {W}, {buffer}")
    assert why in (raised.value.why or "")
    assert raised.value.where == "head (model.py:7)"


def test_a_batch_that_cannot_be_cut_and_a_mesh_without_ranks_are_refused() -> None:
    body, results = "%r0 = aten.relu(%x) : tensor<4x6xf32>", "tensor<4x6xf32>"
    with pytest.raises(IRError, match="equal parts"):
        shard(body, results, ranks=3)
    with pytest.raises(UsageError, match="0 ranks"):
        shard(body, results, ranks=0)


def test_a_program_is_sharded_once() -> None:
    module: ModuleOp = parse_program(shard("%r0 = aten.relu(%x) : tensor<4x6xf32>", "tensor<4x6xf32>"))
    with pytest.raises(IRError, match="sharded already"):
        ShardPass(mesh=2).apply(make_context(), module)


def test_a_strategy_that_does_not_exist_is_refused() -> None:
    module = parse_program(f"func.func @forward({X}) -> () {{ func.return }}")
    with pytest.raises(UsageError, match="no strategy 'tenser'") as raised:
        ShardPass(mesh=2, strategy="tenser").apply(make_context(), module)
    assert "did you mean 'tensor'?" in (raised.value.fix or "")


def test_the_strategy_that_takes_less_is_chosen_and_both_times_are_told() -> None:
    # One sample for each rank and large weights: gradients are much to send, activations little.
    large = program(rows=2, width=512)
    assert chosen(large, "cpu") == "tensor"
    # Many samples and small weights.
    wide = program(rows=65536, width=8)
    assert chosen(wide, "cpu") == "data"


def test_a_batch_that_cannot_be_cut_leaves_tensor_parallelism() -> None:
    with collecting() as remarks:
        module = parse_program(program(rows=3, width=8))
        ShardPass(mesh=2).apply(make_context(), module)
    assert plan(module) == "tensor"
    assert any(each.kind == "missed" and "3 samples, the mesh 2 ranks" in each.message for each in remarks)


def test_where_nothing_can_be_cut_both_reasons_are_told() -> None:
    with pytest.raises(IRError, match="the batch cannot be cut") as raised:
        ShardPass(mesh=2).apply(make_context(), parse_program(program(rows=3, width=7)))
    assert "nor by tensor: no weight can be cut, dim 0 of [7, 7] has 7 elements" in (raised.value.why or "")


def program(rows: int, width: int) -> str:
    """Two layers, the gradient of the second taken for a loss that is the sum of all outputs."""
    x, h, w = f"tensor<{rows}x{width}xf32>", f"tensor<{width}x{rows}xf32>", f"tensor<{width}x{width}xf32>"
    return f"""
    func.func @step(%x : {x} {{program.role = "input", program.path = "x"}},
                    %w : {w} {{program.role = "parameter", program.path = "w"}},
                    %v : {w} {{program.role = "parameter", program.path = "v"}}) -> ({w}) {{
      %1 = aten.mm(%x, %w) {{phase = "forward"}} : {x}
      %2 = aten.relu(%1) {{phase = "forward"}} : {x}
      %3 = aten.mm(%2, %v) {{phase = "forward"}} : {x}
      %4 = aten.relu(%3) {{phase = "forward"}} : {x}
      %5 = aten.t(%x) {{phase = "backward"}} : {h}
      %6 = aten.mm(%5, %4) {{phase = "backward"}} : {w}
      %7 = aten.relu(%6) {{phase = "backward"}} : {w}
      func.return %7 : {w}
    }}"""


def plan(module: ModuleOp) -> str:
    """The strategy that a program was sharded by."""
    attribute = module.attributes["shard.plan"]
    assert isinstance(attribute, StringAttr)
    return attribute.data


def chosen(text: str, device: str) -> str:
    """The strategy for a program; it must be the one that the remarks say is faster."""
    module = parse_program(text)
    with collecting() as remarks:
        ShardPass(mesh=2, device=device).apply(make_context(), module)
    passed, missed = (next(each for each in remarks if each.kind == kind) for kind in ("passed", "missed"))
    assert plan(module) == passed.op != missed.op
    assert passed.gain_us == -(missed.gain_us or 0) > 0
    assert f"by {missed.op}" in passed.message
    return passed.op
