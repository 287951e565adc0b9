"""Accuracy of predictions, in nn-Meter's figures."""

import numpy as np

from steelyard.hw.devices.learned_models import Accuracy
from steelyard.hw.kernels.common.kernel_queries import Floats


def accuracy(predicted_s: Floats, measured_s: Floats) -> Accuracy:
    """Compare predicted with measured seconds, at least one of each; errors are relative to the measured."""
    error = predicted_s / measured_s - 1
    off = np.abs(error)

    def short(value: float) -> float:
        return float(f"{value:.4g}")  # a device file is read by people

    return Accuracy(
        kernels=len(error),
        within_5_percent=short((off <= 0.05).mean()),
        within_10_percent=short((off <= 0.10).mean()),
        rmspe=short(np.sqrt((error**2).mean())),
    )
