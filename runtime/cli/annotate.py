"""`steelyard annotate`: cost of a model by module, op or phase."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given


@given.with_capture
def annotate(
    spec: str,
    choices: dict[str, Any],
    device: given.Device = "cpu",
    context: Annotated[
        Literal["eager", "graph", "compiled"], Option(help="Execution mode of the program.")
    ] = "eager",
    tf32: Annotated[bool, Option("--tf32", help="Allow f32 products to round their inputs to TF32.")] = False,
    software: Annotated[
        str | None,
        Option(help="PyTorch that dispatches kernels, such as torch-2.1; the newest by default."),
    ] = None,
    depth: Annotated[
        int | None, Option(min=1, help="Levels of the module tree to show; 5 by default.")
    ] = None,
    by: Annotated[Literal["module", "op", "phase"], Option(help="Rows of the table.")] = "module",
    style: Annotated[
        Literal["table", "md", "json", "csv"], Option("--format", help="Format of the output on stdout.")
    ] = "table",
    shapes: Annotated[
        bool, Option("--shapes", help="Show the shapes of the modules' outputs, as torchinfo does.")
    ] = False,
    output: Annotated[
        Path | None, Option("-o", help="Write the annotated IR to this file; - for stdout.")
    ] = None,
    memory_timeline: given.MemoryTimeline = None,
    strict: Annotated[bool, Option("--strict", help="Fail on an op of unknown work.")] = False,
    fusion_rules: Annotated[
        Path | None,
        Option(help="Fuse ops, except pairs that this file of `detect-fusion` lists as separate."),
    ] = None,
) -> None:
    """Weigh a model: FLOPs, bytes, time and live memory, without running it.

    steelyard annotate hf:gpt2 --train --device h100-sxm
    """
    import steelyard as sy
    from steelyard.hw.base.atomic_file import is_stdout

    target = sy.Target(device=device, context=context, tf32=tf32, software=software)
    weighing = sy.annotate(
        spec,
        target=target,
        strict=strict,
        by=by,
        depth=depth,
        shapes=shapes,
        fusion_rules=fusion_rules,
        memory_timeline=memory_timeline,
        **choices,
    )
    for name, count in weighing.summary.unknown.items():
        typer.echo(
            f"warning: the work of {name} is not known ({count} ops): docs/howto/add-an-op.md adds it",
            err=True,
        )
    if output:
        weighing.write(output)
        typer.echo(f"wrote {output}", err=True)
    if memory_timeline:
        typer.echo(f"wrote {memory_timeline}", err=True)
    formats = {
        "table": weighing.__str__,
        "md": weighing.to_markdown,
        "json": weighing.to_json,
        "csv": weighing.to_csv,
    }
    text = formats[style]()
    typer.echo(text, err=output is not None and is_stdout(output))
