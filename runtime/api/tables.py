"""The functions of the API on tables of kernels."""

from pathlib import Path

from steelyard.runtime.api.results import Prediction, Tabulated
from steelyard.runtime.predict.predict import predict as predict_table
from steelyard.runtime.profile.transfer import Transfer, transfer_file
from steelyard.runtime.report.format_transfer import format_transfer


def predict(table: str, *, target: str | None = None, score: str | None = None) -> Prediction:
    """Predict the kernels of a CSV table, each with a 90% interval, its limiter and its source.

    Args:
        table: The file, or `-` for stdin.
        target: The device of rows that name none.
        score: Column of measured milliseconds to score against.

    Raises:
        SteelyardError: The file cannot be read, or a row is invalid.
    """
    return Prediction(predict_table(table, target, score))


def transfer(trace: Path, *, origin: str, destination: str) -> Tabulated[Transfer]:
    """Scale op times measured on one device to another by wave scaling, and compare with the models.

    Args:
        trace: A file of `profile` as JSON.
        origin: The device of the trace.
        destination: The other device.

    Raises:
        SteelyardError: The file is no trace, or a device is not known.
    """
    found = transfer_file(trace, origin, destination)
    return Tabulated(found, lambda style: format_transfer(found, style))
