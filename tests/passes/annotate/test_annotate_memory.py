from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.liveness import LiveStorage, liveness
from steelyard.compiler.dialects.cost import MEMORY, LiveBytes, MemoryAttr
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.devices.registry import load_device
from steelyard.hw.devices.write import write_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_memory import AnnotateMemoryPass

OPS = ("relu", "exp", "relu_", "view", "cat")
Call = tuple[str, tuple[int, ...]]


@st.composite
def calls(draw: st.DrawFn) -> list[Call]:
    """Ops over the values before them: 0 and 1 are arguments, 2 the result of the first op, and so on."""
    made: list[Call] = []
    for index in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(OPS))
        values = st.integers(0, index + 1)
        made.append((op, tuple(draw(values) for _ in range(2 if op == "cat" else 1))))
    return made


def text_of(made: list[Call], sizes: list[int]) -> str:
    """The program of these ops over vectors, which returns the last result; fills in `sizes`."""
    lines: list[str] = []
    for index, (op, used) in enumerate(made):
        sizes.append(sum(sizes[k] for k in used))
        names = ", ".join(f"%v{k}" for k in used)
        names = {"cat": f"[{names}]", "view": f"{names}, [{sizes[-1]}]"}.get(op, names)
        lines.append(f"%v{index + 2} = aten.{op}({names}) : tensor<{sizes[-1]}xf32>")
    result = f"tensor<{sizes[-1]}xf32>"
    head = f"func.func @forward(%v0 : tensor<{sizes[0]}xf32>, %v1 : tensor<{sizes[1]}xf32>) -> {result}"
    return "\n".join(
        ["builtin.module {", head, "{", *lines, f"func.return %v{len(made) + 1} : {result}", "}", "}"]
    )


def annotate(text: str) -> ModuleOp:
    module = parse_program(text)
    AnnotateMemoryPass().apply(make_context(), module)
    return module


def live_bytes(module: ModuleOp) -> list[LiveBytes]:
    attributes = [op.attributes.get(MEMORY) for op in entry_function(module).body.block.ops]
    return [attribute.data for attribute in attributes if isinstance(attribute, MemoryAttr)]


@given(calls(), st.integers(0, 9), st.integers(1, 9))
def test_every_op_sees_the_storages_that_a_later_op_or_the_caller_needs(
    made: list[Call], first: int, second: int
) -> None:
    sizes = [first, second]
    found = live_bytes(annotate(text_of(made, sizes)))
    storage = [0, 1]
    for index, (op, used) in enumerate(made):
        storage.append(storage[used[0]] if op in ("view", "relu_") else index + 2)
    for index, live in enumerate(found):
        needed = {0, 1, storage[-1]} | {storage[k] for _, used in made[index:] for k in used}
        there = {s for s in {*needed, storage[index + 2]} if s <= index + 2}
        assert live.at == 4 * sum(sizes[s] for s in there)


@given(calls(), st.integers(1, 9), st.integers(1, 9))
def test_the_peak_is_the_largest_live_set_and_is_explained(made: list[Call], first: int, second: int) -> None:
    module = parse_program(text_of(made, [first, second]))
    found = liveness(module)
    assert found.peak_bytes == max(live.at for live in found.at.values())
    assert found.peak_bytes == sum(storage.bytes for storage in found.peak)
    assert found.at[found.peak_at[-1]].at == found.peak_bytes


@given(calls(), st.integers(1, 9), st.integers(1, 9))
def test_each_op_starts_where_the_last_one_ended(made: list[Call], first: int, second: int) -> None:
    found = live_bytes(annotate(text_of(made, [first, second])))
    assert found[0].before == 4 * (first + second)
    for live, following in pairwise(found):
        assert live.after == following.before
    assert all(live.at == live.before + live.allocates == live.after + live.frees for live in found)


@given(calls(), st.integers(1, 9), st.integers(1, 9))
def test_views_and_in_place_ops_are_free(made: list[Call], first: int, second: int) -> None:
    found = live_bytes(annotate(text_of(made, [first, second])))
    for (op, _), live in zip(made, found, strict=True):
        assert (live.allocates == 0) == (op in ("view", "relu_"))


STEP = """
builtin.module {
  func.func @step(%w : tensor<4x4xf32> {program.role = "parameter", program.path = "fc.weight"},
                  %m : tensor<4x4xf32> {program.role = "optimizer_state", program.path = "fc.momentum"},
                  %x : tensor<2x4xf32> {program.role = "input", program.path = "x"}) {
    %y = func.call @forward(%x, %w) {path = "fc"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    %t = aten.t(%y) {phase = "backward", path = "fc"} : tensor<4x2xf32>
    %g = aten.mm(%t, %x) {phase = "backward", path = "fc"} : tensor<4x4xf32>
    %v = aten.t(%g) {phase = "backward", path = "fc"} : tensor<4x4xf32>
    aten._fused_sgd_([%w], [%v], [%m], weight_decay = 0.0, momentum = 0.9, lr = 0.1, dampening = 0.0,
                     nesterov = false, maximize = false, is_first_step = false) {phase = "optimizer"}
    func.return
  }
  func.func private @forward(%x : tensor<2x4xf32>, %w : tensor<4x4xf32>) -> tensor<2x4xf32> {
    %1 = aten.mm(%x, %w) {phase = "forward", path = "inner"} : tensor<2x4xf32>
    %2 = aten.tanh(%1) {phase = "forward", path = "inner"} : tensor<2x4xf32>
    func.return %2 : tensor<2x4xf32>
  }
}
"""


def test_what_is_alive_at_the_peak_has_its_role_and_path() -> None:
    found = liveness(parse_program(STEP))
    assert sorted(found.peak, key=lambda storage: storage.role) == [
        LiveStorage("activation", "fc.inner", 32),
        LiveStorage("gradient", "fc", 64),
        LiveStorage("input", "x", 32),
        LiveStorage("optimizer_state", "fc.momentum", 64),
        LiveStorage("parameter", "fc.weight", 64),
    ]


def test_the_peak_is_named_in_the_totals() -> None:
    totals = read_totals(annotate(STEP))["memory"]
    assert totals == {
        "peak_bytes": 256,
        "peak_op": "aten.mm",
        "peak_path": "fc",
        "peak_bytes_by_role": {
            "parameter": 64,
            "optimizer_state": 64,
            "input": 32,
            "activation": 32,
            "gradient": 64,
        },
        "peak_bytes_by_path": {"fc": 64, "fc.inner": 32},
        "peak_bytes_by_source": {},
    }


def two_calls(last: str) -> str:
    return f"""
    builtin.module {{
      func.func @forward(%a : tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {{
        %1 = aten.exp(%a) : tensor<4xf32>
        %2 = func.call @f(%1) : (tensor<4xf32>) -> tensor<4xf32>
        %3 = func.call @f(%2) : (tensor<4xf32>) -> tensor<4xf32>
        func.return {last}, %3 : tensor<4xf32>, tensor<4xf32>
      }}
      func.func private @f(%x : tensor<4xf32>) -> tensor<4xf32> {{
        %1 = aten.exp(%x) : tensor<4xf32>
        %2 = aten.exp(%1) : tensor<4xf32>
        func.return %2 : tensor<4xf32>
      }}
    }}
    """


def test_an_argument_is_freed_inside_where_every_call_is_its_last_use() -> None:
    # %a, and inside at most two of the chain at once.
    assert liveness(parse_program(two_calls("%a"))).peak_bytes == 3 * 16


def test_an_argument_that_one_caller_needs_still_is_freed_by_no_call() -> None:
    found = live_bytes(annotate(two_calls("%2")))
    assert [live.at for live in found] == [2 * 16, 4 * 16, 4 * 16]
    assert found[1].after == 2 * 16


def test_a_result_that_the_kernel_leaves_undefined_takes_nothing() -> None:
    module = annotate("""
    builtin.module {
      func.func @forward(%g : tensor<2x4xf32>, %x : tensor<2x4xf32>, %m : tensor<2x1xf32>,
                         %w : tensor<4xf32>) {
        %1, %2, %3 = aten.native_layer_norm_backward(%g, %x, [4], %m, %m, %w, %w, [false, true, false])
          : none, tensor<4xf32>, none
        func.return
      }
    }
    """)
    assert [live.allocates for live in live_bytes(module)] == [16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("builtin.module { func.func @main() { func.return } }", "name its function @step or @forward"),
        (
            "builtin.module { func.func @step() { func.call @step() : () -> ()\n func.return } }",
            "calls itself",
        ),
        (
            "builtin.module { func.func @step(%a : tensor<?xf32>) { func.return } }",
            "the size of tensor<\\?xf32> is not known",
        ),
    ],
)
def test_a_module_that_is_no_program_is_an_error(text: str, message: str) -> None:
    with pytest.raises(IRError, match=message):
        annotate(text)


@pytest.mark.parametrize(("instruction_set", "scratch"), [("avx2", 0), ("avx512", 182_912)])
def test_scratch_of_products_of_halves_follows_the_instruction_set(
    instruction_set: InstructionSet, scratch: int, tmp_path: Path
) -> None:
    module = parse_program("""
    builtin.module {
      func.func @forward(%x : tensor<98x768xbf16>, %w : tensor<768x3072xbf16>) -> tensor<98x3072xbf16> {
        %1 = aten.mm(%x, %w) : tensor<98x3072xbf16>
        func.return %1 : tensor<98x3072xbf16>
      }
    }
    """)
    device = tmp_path / "local.toml"
    write_device(device, replace(load_device("cpu"), instruction_set=instruction_set))
    AnnotateCostPass().apply(make_context(), module)
    AnnotateMemoryPass(device=str(device), threads=2).apply(make_context(), module)
    [live] = live_bytes(module)
    assert live.allocates == 98 * 3072 * 2 + scratch
    by_role = cast("dict[str, int]", read_totals(module)["memory"]["peak_bytes_by_role"])
    assert by_role.get("workspace", 0) == scratch
