"""Kernel batches: many kernels of one kind and dtype, their dims as columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.kernel_kinds import CATEGORICAL_DIMS as CATEGORICAL_DIMS
from steelyard.hw.base.kernel_kinds import DEFAULTS as DEFAULTS
from steelyard.hw.base.kernel_kinds import DIMS as DIMS
from steelyard.hw.base.kernel_kinds import KernelKind as KernelKind
from steelyard.hw.base.kernel_work import DType

Floats = NDArray[np.float64]
Column = NDArray[Any]
"""One number a row (int64), or one word a row (str)."""


@dataclass(frozen=True, slots=True)
class KernelBatch:
    """Kernels of one kind and type.

    Attributes:
        kind: What kind of kernel they are.
        dtype: The type of their operands; products accumulate in f32.
        dims: A column for each of `DIMS[kind]`, all of one length.
    """

    kind: KernelKind
    dtype: DType
    dims: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.dims[DIMS[self.kind][0]])
