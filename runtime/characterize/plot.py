"""Plot of a sweep, by matplotlib."""

# pyright: standard

from pathlib import Path

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.characterize.sweep import Behaviour

FORMATS = (".png", ".svg", ".pdf")


def require_plot(path: Path) -> None:
    """Check that a plot can be written to a file.

    Raises:
        UsageError: matplotlib is missing, or the file has another type.
    """
    if path.suffix not in FORMATS:
        raise UsageError(
            what=f"a plot cannot be written as {path.suffix or 'a file without a suffix'}",
            where="--plot",
            fix=f"use one of the suffixes {', '.join(FORMATS)}",
        )
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise UsageError(
            what="a plot needs matplotlib",
            where="--plot",
            why=str(error),
            fix="install it with: pip install 'steelyard[learn]', or leave --plot out",
        ) from error


def plot_behaviour(behaviour: Behaviour, where: str, path: Path) -> None:
    """Write times over sizes to a file, with a line where each step ends."""
    from matplotlib.figure import Figure

    sweep = behaviour.sweep
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(sweep.sizes, [1e6 * time_s for time_s in behaviour.times_s], ".-", linewidth=0.8, markersize=4)
    steps = behaviour.staircase
    if steps:
        for size in range(steps.width, sweep.sizes[-1] + 1, steps.width):
            axes.axvline(size, color="0.85", linewidth=0.8, zorder=0)
        axes.set_title(
            f"steps of {steps.width}; sizes between cost {steps.penalty:+.1%} on average", fontsize="medium"
        )
    fixed = " ".join(f"{name}={size}" for name, size in sweep.others.items() if name != "pad")
    figure.suptitle(f"{sweep.family.name} on {where}\n{fixed}", fontsize="medium")
    axes.set(xlabel=" = ".join(sweep.dims), ylabel="time in us", ylim=(0, None))
    figure.savefig(path)
