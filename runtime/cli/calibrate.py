"""`steelyard calibrate`: measure this machine's CPU into a device file."""

from pathlib import Path
from typing import Annotated

from typer import Option


def calibrate(
    output: Annotated[Path, Option("-o", help="The device file to write.")] = Path("local-cpu.toml"),
    threads: Annotated[
        list[int] | None, Option(help="Numbers of threads to measure; may be repeated.")
    ] = None,
) -> None:
    """Measure this machine's CPU, in under two minutes, so that predictions for it are fitted."""
    from steelyard.hw.device_file import write_device
    from steelyard.runtime.calibrate import calibrate as measure
    from steelyard.runtime.cli.progress import say

    device = measure(tuple(threads) if threads else None, say)
    write_device(output, device)
    say(f"wrote {output}; use it with --device {output}")
