"""Memory that oneDNN's convolutions take while they run, beside their operands and results.

The kernels work on blocked layouts: channels in blocks of 16 (one AVX-512 register), so operands in PyTorch's
plain layout are copied in, and the result is copied out. Some kernels need scratch for each thread on top.
Taken from the allocation events of `aten.convolution` and `aten.convolution_backward` (torch 2.13 with oneDNN
on an AVX-512 CPU, f32 and bf16), with which benchmarks/convolution_memory.py compares it. Tables of a few KiB
are left out.
"""

from dataclasses import dataclass
from math import prod

_BLOCK = 16
_IMAGE_CHANNELS = 4
"""An image's channels are read in the plain layout."""
_WIDEST_WINDOW = 14
"""Above that the gradient of the weight is a GEMM over unrolled windows; with half precision above 16."""
_WIDEST_WINDOW_HALF = 16
_WIDEST_DEPTHWISE = 3
"""Above that the gradient of a depthwise convolution's weight needs no copies."""
_DEPTHWISE_COPIES = 256
"""Of the weight's gradient, which are summed up in the end, with channels last."""
_DEPTHWISE_SOURCES = 16
_ACCUMULATOR_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with groups; image, result and window as their sizes in each dim.

    With channels last the kernels read and write operands as they are, but for the weight.
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    image: tuple[int, ...]
    result: tuple[int, ...]
    window: tuple[int, ...]
    stride: int
    item_bytes: int
    threads: int
    channels_last: bool = False

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups == self.in_channels == self.out_channels

    @property
    def is_image(self) -> bool:
        """Whether the source is read as it is."""
        return self.in_channels <= _IMAGE_CHANNELS

    @property
    def is_half(self) -> bool:
        """Whether sums need wider elements than the operands have."""
        return self.item_bytes < _ACCUMULATOR_BYTES

    @property
    def is_pointwise(self) -> bool:
        """Whether windows are single points."""
        return prod(self.window) == 1

    @property
    def source_bytes(self) -> int:
        """The source in blocks."""
        return self.batch * self.source_image_bytes(self.item_bytes)

    @property
    def destination_bytes(self) -> int:
        """The destination in blocks."""
        return self.batch * self.destination_image_bytes(self.item_bytes)

    @property
    def weight_bytes(self) -> int:
        """The weight in blocks."""
        inner = self.in_channels // self.groups
        if self.groups == 1 and not self.is_image:
            inner = _round_up(inner)
        return _round_up(self.out_channels) * inner * prod(self.window) * self.item_bytes

    @property
    def busy_threads(self) -> int:
        """Threads that have an image to work on."""
        return min(self.threads, self.batch)

    def source_image_bytes(self, item_bytes: int) -> int:
        """One source in blocks."""
        return _round_up(self.in_channels) * prod(self.image) * item_bytes

    def destination_image_bytes(self, item_bytes: int) -> int:
        """One destination in blocks."""
        return _round_up(self.out_channels) * prod(self.result) * item_bytes


def forward_peak_bytes(sizes: Convolution) -> int:
    """The most that a forward convolution has allocated at once, its result included."""
    if sizes.channels_last:
        return sizes.destination_bytes + (0 if sizes.is_depthwise else 2 * sizes.weight_bytes)
    source = 0 if sizes.is_image else sizes.source_bytes
    weight = sizes.weight_bytes
    if sizes.is_image and sizes.is_half:  # channels in pairs
        weight = weight * (sizes.in_channels + sizes.in_channels % 2) // sizes.in_channels
    scratch = 0
    if sizes.is_pointwise and sizes.stride > 1:  # the source without what is stepped over
        scratch += _round_up(sizes.in_channels) * prod(sizes.result) * sizes.item_bytes
    if sizes.is_pointwise and sizes.is_half:
        scratch += sizes.destination_image_bytes(_ACCUMULATOR_BYTES)
    destination = sizes.destination_bytes
    first = source + weight + destination + sizes.busy_threads * scratch
    return max(first, 2 * destination)


def backward_peak_bytes(sizes: Convolution, data: bool, weights: bool) -> int:
    """The most that a backward convolution has allocated at once, its results included.

    Args:
        sizes: Of the forward convolution.
        data: Whether the gradient of the source is asked for; it is done first, and kept.
        weights: Whether the gradient of the weight is asked for.
    """
    kept = sizes.batch * sizes.in_channels * prod(sizes.image) * sizes.item_bytes if data else 0
    return max(_data_peak_bytes(sizes) if data else 0, kept + _weight_peak_bytes(sizes) if weights else 0)


def _data_peak_bytes(sizes: Convolution) -> int:
    if sizes.channels_last:
        if sizes.is_depthwise:
            return sizes.source_bytes
        scratch = sizes.threads * sizes.destination_image_bytes(sizes.item_bytes) * (sizes.stride > 1)
        return sizes.source_bytes + 2 * sizes.weight_bytes + scratch
    if (sizes.stride > 1 and (sizes.groups == 1 or sizes.is_half)) or sizes.is_image:
        # The result has channels last, and is copied twice.
        inner = _round_up(sizes.in_channels // sizes.groups)
        weight = _round_up(sizes.out_channels) * inner * prod(sizes.window) * sizes.item_bytes
        source = sizes.batch * sizes.in_channels * prod(sizes.image) * sizes.item_bytes
        scratch = sizes.threads * sizes.destination_image_bytes(sizes.item_bytes)
        return max(sizes.destination_bytes + weight + source + scratch, 3 * source)
    scratch = sizes.source_image_bytes(_ACCUMULATOR_BYTES) if sizes.is_half and sizes.is_pointwise else 0
    first = sizes.destination_bytes + sizes.weight_bytes + sizes.source_bytes + sizes.busy_threads * scratch
    return max(first, 2 * sizes.source_bytes)


def _weight_peak_bytes(sizes: Convolution) -> int:
    weight = sizes.weight_bytes
    if sizes.channels_last:
        if not sizes.is_depthwise:
            return (5 if sizes.is_half else 3) * weight
        if not sizes.is_half:
            return _DEPTHWISE_COPIES * weight
        # The copies are there in both types, and the source in pieces that overlap.
        return 3 * _DEPTHWISE_COPIES * weight + _DEPTHWISE_SOURCES * sizes.source_bytes
    if sizes.is_depthwise and max(sizes.window) > _WIDEST_DEPTHWISE:
        return 2 * weight
    if max(sizes.window) > (_WIDEST_WINDOW_HALF if sizes.is_half else _WIDEST_WINDOW):
        unrolled = sizes.in_channels * prod(sizes.window) * prod(sizes.result) * sizes.item_bytes
        return weight + sizes.busy_threads * ((6 if sizes.is_half else 4) * weight + unrolled)
    source = 0 if sizes.is_image else sizes.source_bytes
    first = sizes.destination_bytes + source + weight + _weight_scratch_bytes(sizes)
    return max(first, 2 * weight)


def _weight_scratch_bytes(sizes: Convolution) -> int:
    """Scratch of weight gradients that threads compute in parts and reduce."""
    total = sizes.weight_bytes * _ACCUMULATOR_BYTES // sizes.item_bytes
    scratch = 0
    if sizes.is_pointwise and sizes.stride > 1:  # the source without what is stepped over
        scratch += _round_up(sizes.in_channels) * prod(sizes.result) * sizes.item_bytes
    if sizes.groups > 1:
        return scratch
    if not sizes.is_half:
        is_summed = sizes.stride == 1 and sizes.weight_bytes < sizes.source_bytes + sizes.destination_bytes
        return scratch + total * is_summed
    if not sizes.is_pointwise:  # operands are transposed
        images = sizes.destination_image_bytes(sizes.item_bytes)
        images += 0 if sizes.is_image else sizes.source_image_bytes(sizes.item_bytes)
        scratch += images * (sizes.busy_threads if sizes.stride == 1 else 1)
    return scratch + total


def _round_up(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK
