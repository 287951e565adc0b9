"""The sizes of a convolution, and the product of matrices that each of its directions amounts to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.kernels.common.kernel_queries import Column, Floats

Product = tuple[Floats, Floats, Floats]
"""Rows, columns and reduction of a product of matrices."""


@dataclass(frozen=True, slots=True)
class ConvShape:
    """Convolutions, a row each: input [n, c, h, w], `o` filters of r x s, output [n, o, p, q].

    `p = (h + 2 pad - r) // stride + 1`, and q alike. Of `groups` > 1 every group has c / groups inputs and
    o / groups outputs. The directions: forward; `dgrad`, the gradient of the input; `wgrad`, of the filters.
    """

    n: Floats
    c: Floats
    h: Floats
    w: Floats
    o: Floats
    r: Floats
    s: Floats
    p: Floats
    q: Floats
    stride: Floats
    groups: Floats
    dgrad: NDArray[np.bool_]
    wgrad: NDArray[np.bool_]

    @staticmethod
    def of(dims: Mapping[str, Column]) -> "ConvShape":
        """Read the columns of the kind `conv2d`."""
        column = {name: np.asarray(dims[name], np.float64) for name in _NUMBERS}
        n, c, h, w, o, r, s, stride, pad, groups = (column[name] for name in _NUMBERS)
        return ConvShape(
            n,
            c,
            h,
            w,
            o,
            r,
            s,
            p=np.maximum(np.floor((h + 2 * pad - r) / stride) + 1, 1),
            q=np.maximum(np.floor((w + 2 * pad - s) / stride) + 1, 1),
            stride=stride,
            groups=groups,
            dgrad=np.asarray(dims["direction"]) == "dgrad",
            wgrad=np.asarray(dims["direction"]) == "wgrad",
        )

    @property
    def macs(self) -> Floats:
        """Multiply-adds of the definition, the padding's included: the same in each direction."""
        return self.n * self.o * self.p * self.q * self.c / self.groups * self.r * self.s

    @property
    def input_elements(self) -> Floats:
        """Elements of the input that the windows reach, or all of its gradient."""
        reached = np.minimum(self.h, self.p * self.r) * np.minimum(self.w, self.q * self.s)
        return self.n * self.c * np.where(self.dgrad, self.h * self.w, reached)

    @property
    def filter_elements(self) -> Floats:
        """Elements of the filters, or of their gradient."""
        return self.o * self.c / self.groups * self.r * self.s

    @property
    def output_elements(self) -> Floats:
        """Elements of the output, or of its gradient."""
        return self.n * self.o * self.p * self.q

    @property
    def written_elements(self) -> Floats:
        """Elements that the direction writes; it reads the two other tensors."""
        forward = np.where(self.dgrad, self.input_elements, self.output_elements)
        return np.where(self.wgrad, self.filter_elements, forward)

    @property
    def elements(self) -> Floats:
        """Elements of all three tensors."""
        return self.input_elements + self.filter_elements + self.output_elements

    @property
    def channels(self) -> tuple[Floats, Floats]:
        """Channels that are summed over, and channels of the result, of a forward or dgrad."""
        return np.where(self.dgrad, self.o, self.c), np.where(self.dgrad, self.c, self.o)

    @property
    def map_size(self) -> tuple[Floats, Floats]:
        """Height and width of what a forward or dgrad writes."""
        return np.where(self.dgrad, self.h, self.p), np.where(self.dgrad, self.w, self.q)

    @property
    def product(self) -> Product:
        """The product of one group (cuDNN paper, arXiv 1410.0759, section 3).

        Forward [n p q, c r s] @ [c r s, o]; dgrad [n h w, o r s] @ [o r s, c]; wgrad [o, n p q] @
        [n p q, c r s]. The zeros that a stride leaves around the pixels of a dgrad are among what is summed.
        """
        outer, inner, taps = self.o / self.groups, self.c / self.groups, self.r * self.s
        places, pixels = self.n * self.p * self.q, self.n * self.h * self.w
        rows = np.where(self.wgrad, outer, np.where(self.dgrad, pixels, places))
        columns = np.where(self.wgrad, inner * taps, np.where(self.dgrad, inner, outer))
        forward = np.where(self.dgrad, outer * taps, inner * taps)
        return rows, columns, np.where(self.wgrad, places, forward)

    @property
    def zeros_skipped(self) -> Floats:
        """Reduction shrink factor of a strided dgrad whose kernel skips zeros; 1 for others.

        It needs one of stride^2 taps. Some kernels skip the others and some do not; the geometric middle is
        taken. Windows of one tap have none to skip: there all pixels are made, most of them of zeros.
        """
        return np.where(self.dgrad, np.minimum(self.stride, np.minimum(self.r, self.s)), 1)


_NUMBERS = ("n", "c", "h", "w", "o", "r", "s", "stride", "pad", "groups")
