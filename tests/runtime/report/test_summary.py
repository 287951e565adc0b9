"""Printed, JSON and the IR say the same of a program: total, interval, peak, and the share of every row."""

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any, get_args

import pytest
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.units import format_bytes, format_us
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.fusion.fuse import FusePass
from steelyard.runtime.report.format_summary import as_record, format_csv, format_table
from steelyard.runtime.report.summary import Grouping, summarize

DEVICE = "h100-sxm"
TENSOR = "tensor<256x256xf32>"


def chain(copies: bool = False) -> ModuleOp:
    """A step whose backward reads a product of its forward, which meanwhile may live on the host."""
    away = f"""%h = host.offload %1 {{phase = "forward"}} : {TENSOR} -> !host.copy<{TENSOR}>
        program.drop %1 : {TENSOR}"""
    back = f"""%b = host.fetch %h {{phase = "backward"}} : !host.copy<{TENSOR}> -> {TENSOR}"""
    return parse_program(f"""builtin.module {{ func.func @step(%0 : {TENSOR}
        {{program.role = "input", program.path = "x"}}) -> {TENSOR} {{
        %1 = aten.mm(%0, %0) {{phase = "forward", path = "up", source = "net.py:7"}} : {TENSOR}
        {away if copies else ""}
        %2 = aten.mm(%0, %0) {{phase = "loss"}} : {TENSOR}
        {back if copies else ""}
        %3 = aten.mm(%2, {"%b" if copies else "%1"}) {{phase = "backward", path = "up"}} : {TENSOR}
        func.return %3 : {TENSOR} }} }}""")


def annotated(module: ModuleOp) -> ModuleOp:
    annotate(module, Target(device=DEVICE, context="graph"))
    return module


def plain() -> ModuleOp:
    return annotated(chain())


def offloaded() -> ModuleOp:
    return annotated(chain(copies=True))


def fused() -> ModuleOp:
    module = annotated(
        parse_program(f"""builtin.module {{ func.func @forward(%x : {TENSOR}) -> {TENSOR} {{
        %1 = aten.sigmoid(%x) {{path = "act", source = "net.py:3"}} : {TENSOR}
        %2 = aten.mul.Tensor(%1, %x) {{path = "act", source = "net.py:3"}} : {TENSOR}
        func.return %2 : {TENSOR} }} }}""")
    )
    FusePass().apply(make_context(), module)
    return module


def called() -> ModuleOp:
    return annotated(
        parse_program(f"""builtin.module {{
        func.func @layer(%x: {TENSOR}, %w: {TENSOR}) -> {TENSOR} {{
          %h = aten.mm(%x, %w) {{phase = "forward", path = "up"}} : {TENSOR}
          %y = aten.relu(%h) {{phase = "forward"}} : {TENSOR}
          func.return %y : {TENSOR} }}
        func.func @forward(%x: {TENSOR}, %w: {TENSOR} {{program.role = "parameter", program.path = "w"}})
            -> {TENSOR} {{
          %1 = func.call @layer(%x, %w) {{path = "layers.0"}} : ({TENSOR}, {TENSOR}) -> {TENSOR}
          %2 = func.call @layer(%1, %w) {{path = "layers.1"}} : ({TENSOR}, {TENSOR}) -> {TENSOR}
          func.return %2 : {TENSOR} }} }}""")
    )


PROGRAMS = pytest.mark.parametrize("make", [plain, offloaded, fused, called], ids=lambda make: make.__name__)


@PROGRAMS
@pytest.mark.parametrize("by", get_args(Grouping))
def test_printed_json_csv_and_ir_agree(make: Callable[[], ModuleOp], by: Grouping) -> None:
    module, device = make(), load_device(DEVICE)
    totals: Any = read_totals(parse_program(format_program(module)))
    latency, memory = totals["latency"], totals["memory"]
    given = summarize(Analyses(module)), device, by, 9, 0.0
    table, found = format_table(*given), as_record(*given)
    text = " ".join(table.split())

    assert found["latency_us"] == {name: latency[f"{name}_us"] for name in ("value", "low", "high")}
    interval = f"({format_us(latency['low_us'])} to {format_us(latency['high_us'])};"
    assert f"takes {format_us(latency['value_us'])} on {DEVICE} {interval}" in text
    assert found["latency_by_limiter"] == {k: v for k, v in latency["us_by_limiter"].items() if v}
    assert found["latency_by_source"] == {k: v for k, v in latency["us_by_source"].items() if v}

    assert found["peak_memory_bytes"] == memory["peak_bytes"]
    assert (
        f"At the peak {format_bytes(memory['peak_bytes'])} of tensors are alive at {memory['peak_op']}"
        in text
    )
    for each in ("role", "path", "source"):
        assert found[f"memory_by_{each}"] == memory[f"peak_bytes_by_{each}"]
    assert sum(found["memory_by_role"].values()) == memory["peak_bytes"]

    model, *rows = csv.DictReader(StringIO(format_csv(*given)))
    assert [row["name"] for row in found["rows"]] == [model["name"], *(row["name"] for row in rows)]
    assert float(model["latency_us"]) == pytest.approx(latency["value_us"], abs=1e-3)
    tops = [row for row in rows if int(row["level"]) == 1]
    assert sum(float(row["latency_us"]) for row in tops) == pytest.approx(latency["value_us"], abs=0.01)
    assert sum(float(row["share"]) for row in tops) == pytest.approx(1.0, abs=1e-4)
    for row in (model, *rows):
        share = float(row["latency_us"]) / latency["value_us"]
        assert float(row["share"]) == pytest.approx(share, abs=1e-4)
        assert any(
            line.strip().startswith(row["name"]) and line.endswith(f"{float(row['share']):.1%}")
            for line in table.splitlines()
        )


@PROGRAMS
def test_the_interval_is_around_the_value(make: Callable[[], ModuleOp]) -> None:
    value_us, low_us, high_us = summarize(Analyses(make())).latency_us
    assert low_us < value_us < high_us


def test_what_kernels_wait_for_the_host_link_is_a_row_of_its_own() -> None:
    summary = summarize(Analyses(offloaded()))
    row = summary.group_flat("op")["(host link)"]
    assert row.latency_us == summary.latency_by_limiter["host link"] > 0
    assert row.ops == row.flops == 0
    assert "(host link)" not in summarize(Analyses(plain())).group_flat("op")
    table = format_table(summary, load_device(DEVICE), "module", 5, 0.0)
    assert any(line.strip().startswith("(host link)") for line in table.splitlines())


def test_what_is_alive_at_the_peak_is_named() -> None:
    memory = summarize(Analyses(called())).memory
    assert memory.op == "aten.relu"
    assert memory.path.startswith("layers.")
    assert memory.by_path
    assert [*memory.by_role.values()] == sorted(memory.by_role.values(), reverse=True)


def test_a_program_that_is_not_annotated_has_no_summary() -> None:
    with pytest.raises(IRError, match="no annotated work and memory and latency, which the summary reads"):
        summarize(Analyses(chain()))


MYSTERY = '"mylib::mystery(Tensor x) -> Tensor"'


def partly_unknown(unknown: int, known: int) -> ModuleOp:
    lines, last = [], "%x"
    for number in range(unknown):
        lines.append(f'%u{number} = torch.op {MYSTERY}({last}) {{path = "odd"}} : {TENSOR}')
        last = f"%u{number}"
    for number in range(known):
        lines.append(f'%k{number} = aten.relu({last}) {{path = "plain"}} : {TENSOR}')
        last = f"%k{number}"
    body = "\n".join(lines)
    text = f"func.func @forward(%x : {TENSOR}) -> {TENSOR} {{\n{body}\nfunc.return {last} : {TENSOR} }}"
    return annotated(parse_program(text))


@pytest.mark.parametrize("by", get_args(Grouping))
def test_totals_with_an_op_of_unknown_work_are_lower_bounds(by: Grouping) -> None:
    given = summarize(Analyses(partly_unknown(2, 1))), load_device(DEVICE), by, 9, 0.0
    table, found = format_table(*given), as_record(*given)
    flops = 256 * 256
    model, *rows = found["rows"]
    assert (found["is_lower_bound"], found["flops"]) == (True, flops)
    assert found["coverage"]["unknown_by_op"] == {"mylib.mystery": 2}
    assert (model["unknown"], model["flops"]) == (2, flops)
    assert ">= 65.5 kFLOP" in table
    assert "takes at least" in " ".join(table.split())
    assert "Ops of unknown work are in no total: mylib.mystery (2)." in " ".join(table.split())
    if by == "phase":
        return
    odd, plain = sorted(rows, key=lambda row: row["name"] in ("plain", "aten.relu"))
    assert (odd["unknown"], odd["flops"], odd["bytes"], odd["latency_us"]) == (2, None, None, None)
    assert (plain["unknown"], plain["flops"]) == (0, flops)
    line = next(line for line in table.splitlines() if line.strip().startswith(odd["name"]))
    assert line.split()[2:5] == ["?", "?", "?"]
    record = next(
        each for each in csv.DictReader(StringIO(format_csv(*given))) if each["name"] == odd["name"]
    )
    assert (record["flops"], record["latency_us"], record["unknown"]) == ("", "", "2")


def test_a_program_of_unknown_work_alone_has_no_totals() -> None:
    given = summarize(Analyses(partly_unknown(1, 0))), load_device(DEVICE), "module", 9, 0.0
    table, found = format_table(*given), as_record(*given)
    assert found["flops"] is found["bytes_read"] is found["latency_us"]["value"] is None
    assert "0 FLOP" not in table
    assert "0 us" not in table
    assert "beside what the ops of unknown work take" in " ".join(table.split())


def test_no_known_total_is_marked() -> None:
    given = summarize(Analyses(plain())), load_device(DEVICE), "module", 9, 0.0
    assert not as_record(*given)["is_lower_bound"]
    assert ">=" not in format_table(*given)
    assert "?" not in format_table(*given)


def test_parameters_without_a_path_count_each() -> None:
    argument = f'{TENSOR} {{program.role = "parameter"}}'
    module = parse_program(
        f"func.func @forward(%x : {argument}, %y : {argument}) -> {TENSOR} {{"
        f" %1 = aten.mm(%x, %y) : {TENSOR} func.return %1 : {TENSOR} }}"
    )
    summary = summarize(Analyses(annotated(module)))
    assert summary.params == 2 * 256 * 256
    (root,) = as_record(summary, load_device(DEVICE), "module", 0, 0.0)["rows"]
    assert root["params"] == summary.params
