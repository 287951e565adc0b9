"""`steelyard profile`: measure the ops of a model on this machine."""

from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given
from steelyard.runtime.cli.progress import show_progress


@given.with_capture
def profile(
    spec: str,
    choices: dict[str, Any],
    device: Annotated[
        str, Option(help="This machine: cpu, a file from `calibrate`, or the name of its GPU.")
    ] = "cpu",
    repeats: Annotated[int, Option(min=1, help="Timed calls of each op.")] = 19,
    style: Annotated[
        Literal["table", "json"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
) -> None:
    """Measure each distinct op of a model on this machine, for `annotate` and `predict` on this device.

    steelyard profile hf:gpt2 --train --device local.toml
    """
    from steelyard.compiler.dialects.program import text_attribute
    from steelyard.hw.base.errors import UsageError
    from steelyard.hw.devices.registry import load_device
    from steelyard.hw.latency.profile_store import PROFILES_VARIABLE, local_store
    from steelyard.runtime.profile.profile import profile as measure
    from steelyard.runtime.program.load import load_costed
    from steelyard.runtime.report.format_profile import format_table, format_trace

    store = local_store()
    if store is None:
        raise UsageError(
            what="there is no profile to keep measurements in",
            where=PROFILES_VARIABLE,
            why="the variable is empty",
            fix="set it to the path of a file, or unset it",
        )
    hardware = load_device(device)
    module = load_costed(spec, choices)
    found = measure(module, hardware, store, repeats, show_progress)
    for signature, why in found.failed.items():
        typer.echo(f"warning: {signature} could not be run by itself: {why}", err=True)
    typer.echo(f"the profile is {store.path}", err=True)
    text = format_trace if style == "json" else format_table
    typer.echo(text(found, hardware, text_attribute(module, "program.model") or spec))
