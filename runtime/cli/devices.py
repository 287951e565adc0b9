"""`steelyard devices`: the known devices."""

from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer

devices = typer.Typer(help="List, show and validate devices.", no_args_is_help=True, rich_markup_mode=None)


@devices.command("list")
def list_devices() -> None:
    """List every device: its memory, its bandwidth and its largest dense peak up to 16 bits."""
    import steelyard as sy
    from steelyard.hw.base.units import format_bytes

    width = get_terminal_size((120, 24)).columns
    for device in sy.devices():
        bandwidth = device.memory_bandwidth_bytes_per_s
        peaks = {**device.vector_peak_flops_per_s, **device.matrix_peak_flops_per_s}
        dtype = next((each for each in ("bf16", "f16", "f32") if each in peaks), None)
        line = (
            f"{device.name:18}{format_bytes(device.memory_capacity_bytes.value):>10}"
            f"{f'{bandwidth.value / 1e9:,.0f} GB/s' if bandwidth else '-':>12}"
            f"{f'{peaks[dtype].value / 1e12:,.1f} TFLOP/s {dtype}' if dtype else '-':>22}  {device.title}"
        )
        typer.echo(line[:width])


@devices.command()
def show(name: Annotated[str, typer.Argument(help="A name from `devices list`, or a .toml file.")]) -> None:
    """Print every number of a device with its source."""
    import steelyard as sy

    typer.echo(sy.device(name))


@devices.command()
def validate(file: Annotated[Path, typer.Argument(help="A device file.")]) -> None:
    """Check a device file and report all of its faults."""
    import steelyard as sy

    typer.echo(f"{file}: {sy.validate_device(file).title} is valid")
