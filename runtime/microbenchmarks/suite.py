"""The suite of `calibrate`: kernels of transformers and convolutional networks, small and large."""

# pyright: standard

from collections.abc import Iterator
from itertools import chain

from steelyard.runtime.microbenchmarks.convolutions import convolution_probes, depthwise_probes
from steelyard.runtime.microbenchmarks.data_movement import (
    copy_probes,
    image_probes,
    optimizer_probes,
    random_probes,
    table_probes,
)
from steelyard.runtime.microbenchmarks.matmul_attention import attention_probes, product_probes
from steelyard.runtime.microbenchmarks.microbenchmark import Microbenchmark
from steelyard.runtime.microbenchmarks.row_kernels import pointwise_probes, row_probes


def all_probes() -> Iterator[Microbenchmark]:
    """Yield all microbenchmarks."""
    return chain(
        product_probes(),
        attention_probes(),
        convolution_probes(),
        depthwise_probes(),
        row_probes(),
        pointwise_probes(),
        image_probes(),
        copy_probes(),
        table_probes(),
        random_probes(),
        optimizer_probes(),
    )
