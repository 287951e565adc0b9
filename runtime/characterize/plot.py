"""A plot of a sweep, where matplotlib is installed."""

# pyright: standard

from pathlib import Path

from steelyard.hw.errors import UsageError
from steelyard.runtime.characterize.sweep import Behaviour


def require_matplotlib() -> None:
    """Do nothing.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise UsageError(
            what="a plot needs matplotlib",
            where="--plot",
            why=str(error),
            fix="install it with: pip install 'steelyard[learn]', or leave --plot out",
        ) from error


def plot_behaviour(behaviour: Behaviour, path: Path) -> None:
    """Write times over sizes to a file, with a line at each step.

    Raises:
        UsageError: matplotlib does not know the file's type.
    """
    from matplotlib.figure import Figure

    sweep = behaviour.sweep
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(sweep.sizes, [1e6 * time_s for time_s in behaviour.times_s], ".-", linewidth=0.8)
    if behaviour.staircase:
        width = behaviour.staircase.width
        for size in range(width, sweep.sizes[-1] + 1, width):
            axes.axvline(size, color="0.85", linewidth=0.8, zorder=0)
    fixed = ", ".join(f"{name}={size}" for name, size in sweep.config.items())
    axes.set(xlabel=sweep.dim, ylabel="time in us", title=f"{sweep.kind.name} ({fixed})", ylim=(0, None))
    try:
        figure.savefig(path)
    except ValueError as error:
        raise UsageError(what=f"cannot write {path}", where="--plot", why=str(error)) from error
