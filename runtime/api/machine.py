"""The functions of the API that measure this machine, or know the devices there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.compiler.frontend.options import no_effect
from steelyard.hw.base.atomic_file import require_writable, write_atomically
from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.progress import Progress, Warn, ignore
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.learned_models import Learned
from steelyard.hw.devices.registry import device_names, load_device
from steelyard.hw.devices.write import dump_device, write_device
from steelyard.hw.fitting.calibrate_table import Calibration
from steelyard.runtime.api.results import Tabulated

if TYPE_CHECKING:  # devices are listed without torch
    from steelyard.runtime.characterize.sweep import Behaviour, Swept, SweptKind
    from steelyard.runtime.detect_fusion.executors import Executor
    from steelyard.runtime.detect_fusion.pair_timing import Verdict

_SWEEP_S = 60.0


def devices() -> tuple[Device, ...]:
    """Load every device that has a file, in the order of their names."""
    return tuple(map(load_device, device_names()))


def device(name: str) -> Tabulated[Device]:
    """Load a device; its table is the file with every number and its source.

    Args:
        name: Its name, or a `.toml` file.

    Raises:
        DeviceError: It is not known, or the file is wrong; the error has all of its faults.
    """
    found = load_device(name)
    return Tabulated(found, lambda style: dump_device(found).rstrip())


def calibrate(
    *,
    threads: Sequence[int] = (),
    output: Path | None = None,
    progress: Progress = ignore,
    warn: Warn = ignore,
) -> Device:
    """Measure this machine's CPU in about two minutes.

    Args:
        threads: Numbers of threads to measure with; as many as torch takes by default.
        output: The device file to write.
        progress: Told what is being measured.
        warn: Told if the machine was too busy for what was measured to be trusted.

    Raises:
        UsageError: The file cannot be written.
    """
    from steelyard.runtime.calibrate.cpu import calibrate as measure

    if output:
        require_writable(output)  # before minutes are spent
    found = measure(tuple(threads) or None, progress, warn=warn)
    if output:
        write_device(output, found)
    return found


def calibrate_from(
    table: str, *, target: str, name: str = "", output: Path | None = None, progress: Progress = ignore
) -> Calibration:
    """Fit a device to a table of measured kernels.

    Args:
        table: A CSV file with `latency_ms`, or `-` for stdin.
        target: The device that was measured.
        name: Name of the new device; that of the file by default.
        output: The device file to write.
        progress: Told before each fit.

    Raises:
        SteelyardError: The table makes no sense, or has too few rows of the device.
    """
    from steelyard.runtime.calibrate.from_table import calibrate_from as fit

    if output:
        require_writable(output)
    found = fit(table, target, name or (output.stem if output else target), progress)
    if output:
        write_device(output, found.device)
    return found


def learn(
    *,
    target: str = "cpu",
    kinds: Sequence[str] = (),
    budget_s: float = 170.0,
    output: Path | None = None,
    progress: Progress = ignore,
    warn: Warn = ignore,
) -> Tabulated[Mapping[str, Learned]]:
    """Learn kernel times on this machine's CPU; the table is the accuracy on kernels held out.

    Args:
        target: This machine's CPU: `cpu`, or a file from `calibrate`.
        kinds: Kinds of kernels; all by default.
        budget_s: Time budget.
        output: The device file to write, after each kind.
        progress: Told of each batch.
        warn: Told if the machine was too busy.

    Raises:
        SteelyardError: The device is no CPU, there is no such kind, or scikit-learn is missing.
    """
    from steelyard.runtime.learn.fit import require_scikit_learn
    from steelyard.runtime.learn.format import format_learned
    from steelyard.runtime.learn.kernel_families import KERNEL_FAMILIES, family_named
    from steelyard.runtime.learn.this_machine import learn_here

    if output:
        require_writable(output)
    require_scikit_learn()
    families = [family_named(name) for name in dict.fromkeys(kinds or KERNEL_FAMILIES)]
    learned: dict[str, Learned] = {}
    for family, known, found in learn_here(load_device(target), families, budget_s, progress, warn):
        if output:
            write_device(output, known)
        learned[family.name] = found
    return Tabulated(learned, lambda style: format_learned(learned, style))


def detect_fusion(
    ops: Sequence[str] = (),
    *,
    executor: "Executor" = "inductor",
    budget_s: float = 170.0,
    output: Path | None = None,
    progress: Progress = ignore,
    warn: Warn = ignore,
) -> "Tabulated[Sequence[Verdict]]":
    """Time pairs of ops on this machine's CPU and tell which run as one kernel.

    Args:
        ops: Ops whose pairs are tested; all by default.
        executor: Runs the ops.
        budget_s: Time budget.
        output: The TOML rules file to write.
        progress: Told of each step.
        warn: Told if pairs are left out.

    Raises:
        SteelyardError: There is no such op, or TorchInductor finds no C++ compiler.
    """
    from steelyard.runtime.detect_fusion.format import format_verdicts
    from steelyard.runtime.detect_fusion.rules_file import format_rules
    from steelyard.runtime.detect_fusion.test_ops import all_pairs
    from steelyard.runtime.detect_fusion.this_machine import detect_here, this_machine

    if output:
        require_writable(output)
    verdicts = detect_here(all_pairs(ops), executor, budget_s, progress, warn)
    measured = this_machine(executor)
    if output:
        write_atomically(output, format_rules(verdicts, measured))
    return Tabulated(verdicts, lambda style: format_verdicts(verdicts, measured, style))


def characterize(
    kind: "SweptKind" = "conv2d",
    *,
    sweep: "Swept" = "channels",
    at: Mapping[str, int] | None = None,
    largest: int | None = None,
    target: str | None = None,
    budget_s: float | None = None,
    plot: Path | None = None,
    progress: Progress = ignore,
) -> "Tabulated[Behaviour]":
    """Time a kernel over a range of sizes and find steps in its time.

    Args:
        kind: Kind of kernel.
        sweep: The size that varies.
        at: Other dims; a small layer by default.
        largest: The largest size.
        target: The device to predict for; by default this machine's CPU is measured.
        budget_s: Time budget of a measurement; 60 s by default.
        plot: A file to draw to.
        progress: Told of each round.

    Raises:
        SteelyardError: There is no such sweep, or the plot cannot be drawn.
    """
    from steelyard.runtime.characterize.format import format_behaviour
    from steelyard.runtime.characterize.plot import plot_behaviour, require_plot
    from steelyard.runtime.characterize.sweep import characterize as find_steps
    from steelyard.runtime.characterize.sweep import find_sweep
    from steelyard.runtime.characterize.times import measured_s, predicted_s
    from steelyard.runtime.timing.host_cpu import cpu_model

    if plot:
        require_writable(plot)
        require_plot(plot)
    if target and budget_s:
        raise no_effect("budget", "a prediction", "nothing is measured")
    found = find_sweep(kind, sweep, at or {}, largest)
    if target is None:
        where, limit_s = cpu_model(), budget_s or _SWEEP_S
        behaviour = find_steps(found, lambda them: measured_s(found.family, them, limit_s, progress))
    else:
        hardware = load_device(target)
        where = hardware.name
        behaviour = find_steps(found, lambda them: predicted_s(hardware, found.family, them))
    if plot:
        plot_behaviour(behaviour, where, plot)
    return Tabulated(behaviour, lambda style: format_behaviour(behaviour, where, style))


def validate_device(file: Path) -> Device:
    """Check a device file.

    Raises:
        DeviceError: It has faults; the error has all of them.
        UsageError: The name does not end in `.toml`.
    """
    if file.suffix != ".toml":
        raise UsageError(what=f"{file} is not a device file", why="the name of a device file ends in .toml")
    return load_device(file)
