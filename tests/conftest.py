"""Settings of all tests, the mark `capture`, and the count of validations that data is missing for."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Read when torch is loaded: a thread that spins while it waits takes the CPU from what it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Tables are as wide as where there is no terminal; workers of a parallel run have one of 80 columns.
os.environ["COLUMNS"] = "104"

# Laws are checked however long an example takes: machines are shared.
settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")

# Tests of the published measurements find them by the variable.
os.environ.setdefault("STEELYARD_MEASURED", str(Path(__file__).parents[2] / "shared" / "measured"))
MEASURED = Path(os.environ["STEELYARD_MEASURED"])
_CAPTURES = re.compile(r"load_spec|frontend\.torch|\bhf:|transformers|subprocess|inductor|calibrate\b")
_NO_DATA = "open measurements"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of every file that captures a model or starts a process or a compiler."""
    texts = {path: path.read_text(encoding="utf-8") for path in {item.path for item in items}}
    for item in items:
        if _CAPTURES.search(texts[item.path]):
            item.add_marker("capture")


def _without_data(reporter: pytest.TerminalReporter) -> int:
    return sum(_NO_DATA in str(report.longrepr) for report in reporter.stats.get("skipped", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many validations did not run."""
    if missing := _without_data(terminalreporter):
        terminalreporter.write_line(f"{missing} validations skipped: no open measurements at {MEASURED}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where the data is there and a validation was skipped for lack of it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and MEASURED.is_dir() and _without_data(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
