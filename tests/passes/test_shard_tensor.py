"""Tensor parallelism: which weights are cut together, and what is refused."""

import re

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.remarks import collecting
from steelyard.hw.base.errors import IRError
from steelyard.passes.sharding.shard import ShardPass

X = '%x : tensor<4x6xf32> {program.role = "input", program.path = "x"}'


def weight(name: str, *shape: int) -> str:
    """A parameter."""
    sizes = "x".join(map(str, shape))
    return f'%{name} : tensor<{sizes}xf32> {{program.role = "parameter", program.path = "{name}"}}'


def shard(arguments: list[str], body: str, ranks: int = 2) -> tuple[str, list[str]]:
    """The text of the program of each rank by tensor parallelism, whose result is `%r`, and the remarks."""
    result = re.findall(r"%r = .*: (tensor<\S+>)", body)[0]
    module = parse_program(
        f"func.func @forward({', '.join([X, *arguments])}) -> ({result}) {{"
        f"\n{body}\nfunc.return %r : {result}\n}}"
    )
    with collecting() as remarks:
        ShardPass(mesh=ranks, strategy="tensor").apply(make_context(), module)
    module.verify()
    return format_program(module), [remark.message for remark in remarks]


def splits(text: str) -> dict[str, str]:
    """The dim of each weight that is cut, and its parts."""
    found = re.findall(r'path = "(\w+)", shard.split = (-?\d+) : i64(?:, shard.parts = (\d+))?', text)
    return {name: f"{dim}/{parts}" if parts else dim for name, dim, parts in found if dim != "-1"}


MLP = """
%h = aten.addmm(%b, %x, %w) : tensor<4x8xf32>
%a = aten.gelu(%h) : tensor<4x8xf32>
%r = aten.addmm(%c, %a, %v) : tensor<4x6xf32>"""
WEIGHTS = [weight("b", 8), weight("w", 6, 8), weight("c", 6), weight("v", 8, 6)]


def test_columns_then_rows_then_one_sum() -> None:
    text, _ = shard(WEIGHTS, MLP)
    assert splits(text) == {"b": "0", "w": "1", "v": "0"}
    assert text.count("all_reduce") == 1
    assert "aten.addmm(%b, %x, %w) : tensor<4x4xf32>" in text


def test_each_rank_adds_its_share_of_the_bias_of_a_sum() -> None:
    text, _ = shard(WEIGHTS, MLP, ranks=4)
    assert "aten.addmm(%c, %gelu, %v, beta = 0.25)" in text.replace("%a", "%gelu")
    scaled, _ = shard(WEIGHTS, MLP.replace("%v)", "%v, beta = 3.0)"))
    assert "beta = 1.5" in scaled


def test_a_layer_without_activation_between_is_cut_in_one_of_two_ways() -> None:
    body = """
%1 = aten.mm(%x, %w) : tensor<4x8xf32>
%2 = aten.mm(%1, %v) : tensor<4x8xf32>
%r = aten.mm(%2, %u) : tensor<4x6xf32>"""
    text, _ = shard([weight("w", 6, 8), weight("v", 8, 8), weight("u", 8, 6)], body)
    # The inner dims of both pairs could be cut; in the middle product they would meet.
    assert splits(text) in ({"w": "1", "v": "0"}, {"v": "1", "u": "0"})


def test_queries_keys_and_values_of_one_weight_are_cut_each() -> None:
    each = "tensor<4x8xf32>"
    body = f"""
%y = aten.mm(%x, %w) : tensor<4x24xf32>
%q, %k, %v = aten.split.Tensor(%y, split_size = 8, dim = 1) : {each}, {each}, {each}
%qk = aten.mul.Tensor(%q, %k) : tensor<4x8xf32>
%o = aten.mul.Tensor(%qk, %v) : tensor<4x8xf32>
%r = aten.mm(%o, %u) : tensor<4x6xf32>"""
    text, _ = shard([weight("w", 6, 24), weight("u", 8, 6)], body)
    assert splits(text) == {"w": "1/3", "u": "0"}
    assert "split_size = 4" in text


ATTENTION = """
%1 = aten.mm(%x, %w) : tensor<4x{q}xf32>
%2 = aten.view(%1, size = [1, 4, {hq}, 8]) : tensor<1x4x{hq}x8xf32>
%3 = aten.transpose.int(%2, dim0 = 1, dim1 = 2) : tensor<1x{hq}x4x8xf32>
%4 = aten.mm(%x, %k) : tensor<4x{kv}xf32>
%5 = aten.view(%4, size = [1, 4, {hk}, 8]) : tensor<1x4x{hk}x8xf32>
%6 = aten.transpose.int(%5, dim0 = 1, dim1 = 2) : tensor<1x{hk}x4x8xf32>
%7, %8 = aten._scaled_dot_product_flash_attention_for_cpu(%3, %6, %6)
    : tensor<1x{hq}x4x8xf32>, tensor<1x{hq}x4xf32>
%9 = aten.transpose.int(%7, dim0 = 1, dim1 = 2) : tensor<1x4x{hq}x8xf32>
%10 = aten.view(%9, size = [4, {q}]) : tensor<4x{q}xf32>
%r = aten.mm(%10, %o) : tensor<4x6xf32>"""


def attention(queries: int, keys: int) -> tuple[str, list[str]]:
    """Grouped attention of so many heads of 8 features, sharded."""
    q, kv = 8 * queries, 8 * keys
    weights = [weight("w", 6, q), weight("k", 6, kv), weight("o", q, 6)]
    return shard(weights, ATTENTION.format(q=q, kv=kv, hq=queries, hk=keys))


def test_heads_are_shared_out_with_the_keys_that_they_share() -> None:
    text, _ = attention(queries=4, keys=2)
    assert splits(text) == {"w": "1", "k": "1", "o": "0"}
    assert "size = [1, 4, 2, 8]" in text
    assert "size = [1, 4, 1, 8]" in text


def test_one_head_of_keys_for_all_queries_stays_whole() -> None:
    assert splits(attention(queries=4, keys=1)[0]) == {"w": "1", "o": "0"}


def test_heads_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(IRError, match="no weight can be cut") as raised:
        attention(queries=6, keys=3)
    assert "dim 1 of [1, 3, 4, 8] has 3 elements for 2 ranks" in (raised.value.why or "")


def test_a_weight_that_stays_whole_is_remarked_with_the_reason() -> None:
    body = MLP.replace("%r", "%y") + "\n%z = aten.softmax.int(%y, dim = 1) : tensor<4x6xf32>"
    body += '\n%r = aten.mm(%z, %u) {path = "head", source = "model.py:7"} : tensor<4x6xf32>'
    text, messages = shard([*WEIGHTS, weight("u", 6, 6)], body)
    assert "u" not in splits(text)
    assert any("brings together all that lies along the cut dim" in message for message in messages)


def test_what_is_returned_in_blocks_is_gathered_along_any_dim() -> None:
    body = """
%1 = aten.mm(%x, %w) : tensor<4x8xf32>
%r = aten.relu(%1) : tensor<4x8xf32>
%2 = aten.mm(%r, %v) : tensor<4x6xf32>"""
    text, _ = shard([weight("w", 6, 8), weight("v", 8, 6)], body)
    order = [
        text.index(each)
        for each in ("all_gather_into_tensor", "size = [2, 4, 1, 4]", "aten.permute", "clone")
    ]
    assert order == sorted(order)
    assert text.count("-> tensor<4x8xf32>") == 1


@pytest.mark.parametrize("add", ["aten.add.Tensor", "aten.add_.Tensor"])
def test_two_terms_of_a_sum_are_added_before_they_are_sent(add: str) -> None:
    body = f"""
%n, %mean, %rstd = aten.native_layer_norm(%x, normalized_shape = [6], weight = none, bias = none, \
eps = 1.0e-05) : tensor<4x6xf32>, tensor<4x1xf32>, tensor<4x1xf32>
%1 = aten.mm(%n, %w) : tensor<4x8xf32>
%2 = aten.mm(%1, %v) : tensor<4x6xf32>
%3 = aten.mm(%n, %p) : tensor<4x8xf32>
%4 = aten.mm(%3, %q) : tensor<4x6xf32>
%r = {add}(%2, %4) : tensor<4x6xf32>"""
    weights = [weight("w", 6, 8), weight("v", 8, 6), weight("p", 6, 8), weight("q", 8, 6)]
    text, _ = shard(weights, body)
    assert splits(text) == {"w": "1", "v": "0", "p": "1", "q": "0"}
    assert text.count("all_reduce") == 1
    assert text.index(add) < text.index("all_reduce")


def test_random_numbers_and_unknown_ops_are_refused() -> None:
    for op, why in (
        ("aten.bernoulli(%h)", "random numbers"),
        ("aten.cumsum(%h, dim = 1)", "brings together"),
    ):
        body = MLP.replace("aten.gelu(%h)", op)
        with pytest.raises(IRError, match="no weight can be cut") as raised:
            shard([weight("b", 8), weight("w", 6, 8), weight("c", 6), weight("v", 8, 6)], body)
        assert why in (raised.value.why or "")


def test_an_op_whose_work_the_file_gives_is_sharded_by_it() -> None:
    work = '#cost.spaces<pointwise, ["x: m h*e -> result0: m h*e" flops = [0, 1, 0] sizes = [h = 4, e = 2]]>'
    body = f"""
%1 = aten.mm(%x, %w) : tensor<4x8xf32>
%2 = torch.op "mylib::heads(Tensor x) -> Tensor"(%1) {{cost.spaces = {work}}} : tensor<4x8xf32>
%r = aten.mm(%2, %v) : tensor<4x6xf32>"""
    text, _ = shard([weight("w", 6, 8), weight("v", 8, 6)], body)
    assert splits(text) == {"w": "1", "v": "0"}
    assert text.count("all_reduce") == 1
    assert "sizes = [h = 2, e = 2]" in text
