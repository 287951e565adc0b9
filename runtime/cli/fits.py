"""`steelyard fits` and `steelyard max-batch`: what goes into the memory of a device."""

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given

_DOES_NOT_FIT = 1

Reserve = Annotated[str, Option(help='Memory to leave free, as in "1GiB".')]
AllocatorOptions = Annotated[
    str,
    Option("--allocator", help="Options as in PYTORCH_CUDA_ALLOC_CONF, such as expandable_segments:True."),
]
Style = Annotated[Literal["table", "json"], Option("--format", help="Of what goes to stdout.")]


@given.with_capture
def fits(
    spec: str,
    choices: dict[str, Any],
    device: given.Device,
    reserve: Reserve = "0",
    allocator: AllocatorOptions = "",
    style: Style = "table",
) -> None:
    """Say whether a model fits into a device, with what margin, and what would make it fit.

    steelyard fits hf:gpt2 --train --batch 16 --sequence 512 --device t4 --reserve 1GiB
    """
    from steelyard.hw.allocators.cuda_options import parse_cuda_options
    from steelyard.hw.registry import load_device
    from steelyard.hw.units import parse_bytes
    from steelyard.runtime.fits import check_fit
    from steelyard.runtime.fits_report import format_fit
    from steelyard.runtime.pipeline import load_costed
    from steelyard.runtime.ways_to_fit import ways_to_fit

    hardware, reserve_bytes, settings = (
        load_device(device),
        parse_bytes(reserve),
        parse_cuda_options(allocator),
    )
    fit = check_fit(load_costed(spec, choices), hardware, reserve_bytes, settings)
    ways = [] if fit.fits else ways_to_fit(spec, choices, device, reserve_bytes, settings)
    if style == "json":
        report = {**asdict(fit), "fits": fit.fits, "margin_bytes": fit.margin_bytes}
        typer.echo(json.dumps({**report, "ways_to_fit": [asdict(way) for way in ways]}, indent=2))
    else:
        typer.echo(format_fit(fit, ways))
    if not fit.fits:
        raise typer.Exit(_DOES_NOT_FIT)


@given.with_capture
def max_batch(
    spec: str,
    choices: dict[str, Any],
    device: given.Device,
    reserve: Reserve = "0",
    allocator: AllocatorOptions = "",
    style: Style = "table",
) -> None:
    """Find the largest batch that fits into a device.

    steelyard max-batch hf:gpt2 --train --sequence 512 --device t4
    """
    from steelyard.hw.allocators.cuda_options import parse_cuda_options
    from steelyard.hw.registry import load_device
    from steelyard.hw.units import parse_bytes
    from steelyard.runtime.fits_report import format_fit
    from steelyard.runtime.max_batch import largest_batch
    from steelyard.runtime.pipeline import load_costed

    found = largest_batch(
        lambda batch: load_costed(spec, {**choices, "batch": batch}),
        load_device(device),
        parse_bytes(reserve),
        parse_cuda_options(allocator),
    )
    if style == "json":
        typer.echo(json.dumps({"batch": found.batch, **asdict(found.fit), "fits": found.fit.fits}, indent=2))
    else:
        typer.echo(f"{found.batch}\n{format_fit(found.fit, [])}")
    if not found.batch:
        raise typer.Exit(_DOES_NOT_FIT)
