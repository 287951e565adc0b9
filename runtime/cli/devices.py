"""`steelyard devices`: the known devices."""

from pathlib import Path
from typing import Annotated

import typer

devices = typer.Typer(help="List, show and validate devices.", no_args_is_help=True, rich_markup_mode=None)


@devices.command("list")
def list_devices() -> None:
    """List every device: its memory, its bandwidth and its largest dense peak up to 16 bits."""
    from steelyard.hw.base.units import format_bytes
    from steelyard.hw.devices.registry import device_names, load_device

    for name in device_names():
        device = load_device(name)
        bandwidth = device.memory_bandwidth_bytes_per_s
        peaks = {**device.vector_peak_flops_per_s, **device.matrix_peak_flops_per_s}
        dtype = next((each for each in ("bf16", "f16", "f32") if each in peaks), None)
        typer.echo(
            f"{name:18}{format_bytes(device.memory_capacity_bytes.value):>10}"
            f"{f'{bandwidth.value / 1e9:,.0f} GB/s' if bandwidth else '-':>12}"
            f"{f'{peaks[dtype].value / 1e12:,.1f} TFLOP/s {dtype}' if dtype else '-':>22}  {device.title}"
        )


@devices.command()
def show(name: Annotated[str, typer.Argument(help="A name from `devices list`, or a .toml file.")]) -> None:
    """Print every number of a device with its source."""
    from steelyard.hw.devices.registry import load_device
    from steelyard.hw.devices.write import dump_device

    typer.echo(dump_device(load_device(name)), nl=False)


@devices.command()
def validate(file: Annotated[Path, typer.Argument(help="A device file.")]) -> None:
    """Check a device file and report all of its faults."""
    from steelyard.hw.base.errors import UsageError
    from steelyard.hw.devices.registry import load_device

    if file.suffix != ".toml":
        raise UsageError(what=f"{file} is not a device file", why="the name of a device file ends in .toml")
    typer.echo(f"{file}: {load_device(file).title} is valid")
