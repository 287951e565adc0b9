"""`steelyard fits` and `steelyard max-batch`: memory capacity of a device."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from steelyard.runtime.cli import options as given

if TYPE_CHECKING:
    from steelyard.runtime.capacity.fits import MemoryBudget, MemoryFit

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
        int, Option(min=1, help="Devices that ZeRO may shard states over, for suggestions.")
    ] = 8,
    memory_timeline: given.MemoryTimeline = None,
    style: Style = "table",
) -> None:
    """Check whether a model fits into a device's memory, and suggest changes if it does not.

    steelyard fits hf:gpt2 --train --batch 16 --sequence 512 --device t4 --reserve 1GiB
    """
    from steelyard.compiler.dialects.program import assumptions
    from steelyard.compiler.pass_infra.totals import unknown_ops
    from steelyard.hw.allocators.choice import make_allocator
    from steelyard.runtime.capacity.fits import fit_of, usable_bytes
    from steelyard.runtime.capacity.memory_timeline import memory_timeline as timeline
    from steelyard.runtime.capacity.memory_timeline import require_timeline_name, write_timeline
    from steelyard.runtime.capacity.suggestions import suggest
    from steelyard.runtime.program.load import load_costed
    from steelyard.runtime.report.format_fit import format_fit

    if memory_timeline:
        require_timeline_name(memory_timeline)
    budget = _budget(device, reserve, allocator, cuda, keep_gradients)
    usable_bytes(budget)  # before the model is captured
    program = load_costed(spec, choices, device)
    memory = budget.memory(program)
    fit = fit_of(memory, budget, unknown_ops(program))
    if memory_timeline:
        write_timeline(memory_timeline, timeline(memory, make_allocator(budget.device, None, budget.options)))
        typer.echo(f"wrote {memory_timeline}", err=True)
    ways = [] if fit.fits else suggest(spec, choices, device, budget, devices)
    if style == "json":
        typer.echo(
            json.dumps(
                {
                    **_json(fit),
                    "ways_to_fit": [asdict(way) for way in ways],
                    "assumptions": assumptions(program),
                },
                indent=2,
            )
        )
    else:
        typer.echo(format_fit(fit, ways))
        for each in assumptions(program):
            typer.echo(f"assumed: {each}")
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
    from steelyard.runtime.capacity.fits import usable_bytes
    from steelyard.runtime.capacity.max_batch import largest_batch
    from steelyard.runtime.program.load import load_costed
    from steelyard.runtime.report.format_fit import format_fit

    budget = _budget(device, reserve, allocator, cuda, keep_gradients)
    usable_bytes(budget)
    found = largest_batch(lambda batch: load_costed(spec, {**choices, "batch": batch}, device), budget)
    if style == "json":
        typer.echo(json.dumps({"batch": found.batch, **_json(found.fit)}, indent=2))
    else:
        typer.echo(f"{found.batch}\n{format_fit(found.fit, [])}")
    if not found.batch:
        raise typer.Exit(_DOES_NOT_FIT)


def _budget(device: str, reserve: str, allocator: str, cuda: str, keep_gradients: bool) -> "MemoryBudget":
    from steelyard.hw.allocators.choice import make_allocator
    from steelyard.hw.allocators.context import parse_version
    from steelyard.hw.allocators.options import parse_allocator
    from steelyard.hw.base.units import parse_bytes
    from steelyard.hw.devices.registry import load_device
    from steelyard.runtime.capacity.fits import MemoryBudget

    hardware, options = load_device(device), parse_allocator(allocator)
    make_allocator(hardware, None, options)  # refuses options that its allocator has not
    return MemoryBudget(
        device=hardware,
        reserve_bytes=parse_bytes(reserve),
        options=options,
        cuda=parse_version(cuda) if cuda else None,
        keep_gradients=keep_gradients,
    )


def _json(fit: "MemoryFit") -> dict[str, Any]:
    return {**asdict(fit), "fits": fit.fits, "margin_bytes": fit.margin_bytes}
