"""`steelyard fits` and `steelyard max-batch`: memory capacity of a device."""

from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given

_DOES_NOT_FIT = 1

Reserve = Annotated[str, Option(help='Memory to leave free, such as "1GiB".')]
AllocatorOptions = Annotated[
    str,
    Option(
        "--allocator",
        help="Options of PYTORCH_CUDA_ALLOC_CONF, such as expandable_segments:True, or backend:onnxruntime.",
    ),
]
Cuda = Annotated[str, Option(help="CUDA version; its context is smaller from 11.7 on.")]
KeepGradients = Annotated[
    bool, Option("--keep-gradients", help="Set gradients to zero instead of None, as before PyTorch 2.0.")
]
Style = Annotated[Literal["table", "json"], Option("--format", help="Format of the output on stdout.")]


@given.with_capture
def fits(
    spec: str,
    choices: dict[str, Any],
    device: given.Device,
    reserve: Reserve = "0",
    allocator: AllocatorOptions = "",
    cuda: Cuda = "",
    keep_gradients: KeepGradients = False,
    devices: Annotated[
        int | None,
        Option(min=1, help="Devices that ZeRO may shard states over, for suggestions; 8 by default."),
    ] = None,
    memory_timeline: given.MemoryTimeline = None,
    style: Style = "table",
) -> None:
    """Check whether a model fits into a device's memory, and suggest changes if it does not.

    steelyard fits hf:gpt2 --train --batch 16 --sequence 512 --device t4 --reserve 1GiB
    """
    import steelyard as sy

    fit = sy.fits(
        spec,
        target=device,
        reserve=reserve,
        allocator=allocator,
        cuda=cuda,
        keep_gradients=keep_gradients,
        devices=devices,
        memory_timeline=memory_timeline,
        **choices,
    )
    if memory_timeline:
        typer.echo(f"wrote {memory_timeline}", err=True)
    typer.echo(fit.to_json() if style == "json" else fit)
    if not fit.fits:
        raise typer.Exit(_DOES_NOT_FIT)


@given.with_capture
def max_batch(
    spec: str,
    choices: dict[str, Any],
    device: given.Device,
    reserve: Reserve = "0",
    allocator: AllocatorOptions = "",
    cuda: Cuda = "",
    keep_gradients: KeepGradients = False,
    style: Style = "table",
) -> None:
    """Find the largest batch that fits into a device's memory.

    steelyard max-batch hf:gpt2 --train --sequence 512 --device t4
    """
    import steelyard as sy

    found = sy.max_batch(
        spec,
        target=device,
        reserve=reserve,
        allocator=allocator,
        cuda=cuda,
        keep_gradients=keep_gradients,
        **choices,
    )
    typer.echo(found.to_json() if style == "json" else found)
    if not found.batch:
        raise typer.Exit(_DOES_NOT_FIT)
