"""`steelyard`: the verbs and exit codes."""

import sys

import typer

from steelyard.runtime.cli.annotate import annotate
from steelyard.runtime.cli.calibrate import calibrate
from steelyard.runtime.cli.characterize import characterize
from steelyard.runtime.cli.check import check
from steelyard.runtime.cli.detect_fusion import detect_fusion
from steelyard.runtime.cli.devices import devices
from steelyard.runtime.cli.failures import reported
from steelyard.runtime.cli.fits import fits, max_batch
from steelyard.runtime.cli.learn import learn
from steelyard.runtime.cli.predict import predict
from steelyard.runtime.cli.profile import profile
from steelyard.runtime.cli.run import run
from steelyard.runtime.cli.transfer import transfer
from steelyard.runtime.cli.verb import Verb
from steelyard.runtime.cli.verify import verify

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
    app.command(cls=Verb)(verb)
app.add_typer(devices, name="devices")


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and leave with its exit code.

    0: success. 1: a check failed. 2: usage or bad input. 3: a prediction out of tolerance. 70: an internal
    error, with a reproducer file. 130: interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with reported(["steelyard", *given]):
        app(given)
