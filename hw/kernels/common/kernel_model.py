"""Protocol of kernel models: one file a kind, from the dims of many kernels to seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.kernel_queries import Column, Floats, KernelKind

Coefficients = Mapping[str, float]
"""The constants of a model by name; what each means is said in the model's docstring."""


@dataclass(frozen=True, slots=True)
class Counts:
    """FLOPs and unique bytes of many kernels, a row each (1 MAC = 2 FLOPs)."""

    contraction_flops: Floats
    pointwise_flops: Floats
    transcendental_flops: Floats
    bytes_read: Floats
    bytes_written: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates of a kernel model, one row a kernel.

    Attributes:
        seconds: Time of the kernel as the context has it timed: launch included, and in eager execution never
            less than the host takes to dispatch it.
        floor_s: What no device of these peaks can undercut.
        limiter: `compute`, `memory`, `launch` or `host`.
    """

    seconds: Floats
    floor_s: Floats
    limiter: NDArray[np.str_]


class KernelModel(Protocol):
    """A model of the kernels of one kind.

    It knows nothing of where its coefficients are from: those of an architecture family (fitted once across
    devices) make the `analytic` rung of the ladder, those fitted on one device the `fitted` rung.
    """

    @property
    def kind(self) -> KernelKind:
        """The kind that it prices."""
        ...

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work, for the plain roofline and the floor."""
        ...

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's architecture family for this type.

        Raises:
            DeviceError: The device lacks a unit for the type.
        """
        ...

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        """Return the time of each row; pure numpy over the rows, at least 100,000 rows a second."""
        ...
