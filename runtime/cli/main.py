"""`steelyard`: the verbs, exit codes and error reports."""

import os
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from steelyard.hw.base.errors import SteelyardError
from steelyard.runtime.cli.annotate import annotate
from steelyard.runtime.cli.calibrate import calibrate
from steelyard.runtime.cli.characterize import characterize
from steelyard.runtime.cli.check import check
from steelyard.runtime.cli.detect_fusion import detect_fusion
from steelyard.runtime.cli.devices import devices
from steelyard.runtime.cli.fits import fits, max_batch
from steelyard.runtime.cli.learn import learn
from steelyard.runtime.cli.predict import predict
from steelyard.runtime.cli.profile import profile
from steelyard.runtime.cli.run import run
from steelyard.runtime.cli.transfer import transfer
from steelyard.runtime.cli.verify import verify

USAGE, INTERNAL, INTERRUPTED = 2, 70, 130

MODELS = (annotate, check, verify, fits, max_batch, run)
MACHINES = (predict, profile, transfer, calibrate, learn, detect_fusion, characterize)

app = typer.Typer(
    name="steelyard",
    help="Weigh a deep-learning model before anyone pays for the hardware.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (*MODELS, *MACHINES):
    app.command()(verb)
app.add_typer(devices, name="devices")


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and leave with its exit code.

    0: success. 1: a check failed. 2: usage or bad input. 3: a prediction out of tolerance. 70: an internal
    error, with a reproducer file. 130: interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(given)
    except SteelyardError as error:
        _leave(USAGE, f"error: {error}")
    except MemoryError:
        _leave(USAGE, _NO_MEMORY)
    except KeyboardInterrupt:
        _leave(INTERRUPTED, "interrupted")
    except Exception as error:
        if "can't allocate memory" in str(error):  # torch raises a RuntimeError
            _leave(USAGE, _NO_MEMORY)
        path = _write_reproducer(given)
        _leave(
            INTERNAL,
            f"error: internal: {type(error).__name__}: {error}\n"
            f"  why: this is a bug of Steelyard, not of your input\n"
            f"  fix: report it with {path}, which holds the command and the traceback",
        )


_NO_MEMORY = (
    "error: out of memory\n  fix: take a smaller --batch, --sequence or model, or a machine with more memory"
)


def _leave(code: int, message: str) -> None:
    sys.stderr.write(message + "\n")
    raise SystemExit(code)


def _write_reproducer(arguments: list[str]) -> Path:
    handle, name = tempfile.mkstemp(prefix="steelyard-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(f"{shlex.join(['steelyard', *arguments])}\n\n{traceback.format_exc()}")
    return Path(name)
