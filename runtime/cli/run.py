"""`steelyard run`: execute a sharded program with several processes on this machine."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Argument, Option

_CHECK_FAILED = 1


def run(
    plan: Annotated[Path, Argument(help="A program from the pass shard.")],
    ranks: Annotated[int, Option("--nproc-per-node", min=1, help="Number of processes, one a rank.")] = 1,
    steps: Annotated[int, Option(min=1, help="Steps to time, after one warm-up step.")] = 3,
    check: Annotated[
        bool, Option("--check", help="Compare results and time with the same model in one process.")
    ] = False,
    device: Annotated[
        str | None,
        Option(help="Device of the prediction; by default that of the plan's annotations, else cpu."),
    ] = None,
    allow_code: Annotated[
        bool, Option("--allow-code", help="Run the Python file that the plan names as its model.")
    ] = False,
    timeout_s: Annotated[
        float, Option("--timeout", min=1.0, help="Seconds that a collective may wait for the other ranks.")
    ] = 60.0,
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Run a sharded program and print its loss, predicted and measured step time."""
    from steelyard.runtime.execute.launch import launch

    report = launch(plan, ranks, steps, check, device, allow_code=allow_code, timeout_s=timeout_s)
    typer.echo(json.dumps(report, indent=2) if style == "json" else _format(report))
    if check and not report["check"]["ok"]:
        raise typer.Exit(_CHECK_FAILED)


def _format(report: dict[str, Any]) -> str:
    time, one = report["step_time_ms"], report.get("check")
    columns = [
        ("", "loss", "step ms"),
        (f"{report['ranks']} ranks", report["loss"], time["measured"]),
        ("predicted", None, time["predicted"]),
    ]
    if one:
        columns.append(("1 process", one["loss"], one["step_time_ms"]))
    lines = [f"{name:8}{''.join(map(_cell, cells))}" for name, *cells in zip(*columns, strict=True)]
    lines.append(
        f"predicted for {report['device']}: {time['low']:.4g} to {time['high']:.4g} ms, "
        f"{time['ratio']:.3f} of the measured time"
    )
    if one:
        wrong = [*one["different"], *(f"{name} (missing)" for name in one["missing"])]
        verdict = f"{len(wrong)} differ, such as {', '.join(wrong[:3])}" if wrong else "equal"
        lines.append(
            f"{one['compared']} results compared: {verdict}; largest relative difference "
            f"{one['max_relative_diff']:.2e}, tolerance {one['tolerance']:.0e}"
        )
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:>14.6g}" if isinstance(value, float) else f"{value or '-':>14}"
