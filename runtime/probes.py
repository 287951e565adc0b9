"""All that `calibrate` times: kernels of transformers and of convolutional networks, small and large."""

# pyright: standard

from collections.abc import Iterator
from itertools import chain

from steelyard.runtime.probe import Probe
from steelyard.runtime.probes_convolutions import convolution_probes, depthwise_probes
from steelyard.runtime.probes_moves import (
    copy_probes,
    image_probes,
    optimizer_probes,
    random_probes,
    table_probes,
)
from steelyard.runtime.probes_products import attention_probes, product_probes
from steelyard.runtime.probes_rows import pointwise_probes, row_probes


def all_probes() -> Iterator[Probe]:
    """Yield every probe."""
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
