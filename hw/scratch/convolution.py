"""Sizes of a convolution on a CPU, and whether PyTorch hands it to oneDNN."""

from dataclasses import dataclass
from math import prod

from steelyard.hw.base.instruction_set import InstructionSet

ACCUMULATOR_BYTES = 4
"""Of a sum: f32, for operands of half precision too."""
_BLOCK_CHANNELS: dict[InstructionSet, int] = {"avx2": 8, "avx512": 16, "avx512_amx": 16}
_IMAGE_CHANNELS = 4
_LARGE_BATCH = 16
_LARGE_SOURCE = 20_480
_SMALL_WINDOW = 3
_VOLUME_DIMS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with groups; image, result, window, stride, padding and dilation by dim.

    A transposed one is the gradient of the source of a convolution, and its sizes are those of that one: its
    operand is the `result`, and what it makes is the `image`. Of a backward, `has_bias` says that the
    gradient of a bias is asked for.

    oneDNN's kernels work on blocked layouts: channels in blocks that fill a vector register of f32. With
    channels last they read and write operands as they are, but for the weight.
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    image: tuple[int, ...]
    result: tuple[int, ...]
    window: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    item_bytes: int
    threads: int
    instruction_set: InstructionSet
    channels_last: bool = False
    transposed: bool = False
    has_bias: bool = False

    @property
    def uses_onednn(self) -> bool:
        """Whether oneDNN does it, in contrast to PyTorch's own kernels.

        By `use_mkldnn` in aten/src/ATen/native/Convolution.cpp (torch 2.13), which reads the last two dims of
        a window and the first two of an image; a sequence is an image of one row. Half precision needs
        AVX-512; a pointwise product of one thread, a small single image, and a transposed convolution whose
        output is padded by a stride, are PyTorch's own.
        """
        if self._pads_output_by_stride:
            return False
        if self.is_half:
            return self.instruction_set.startswith("avx512")
        window = (1, *self.window)[-2:]
        is_plain = not self.is_strided and not self.is_dilated and self.batch < _LARGE_BATCH
        if is_plain and window == (1, 1) and self.threads == 1:
            return False
        channels, image = self.in_channels, self.image
        if self.transposed:
            channels, image = self.out_channels, self.result
        is_large = self.batch > 1 or self.batch * channels * prod(image[:2]) > _LARGE_SOURCE
        return self.groups > 1 or min(window) > _SMALL_WINDOW or is_large

    @property
    def is_strided(self) -> bool:
        """Whether windows step over points."""
        return max(self.stride) > 1

    @property
    def is_dilated(self) -> bool:
        """Whether windows have holes."""
        return max(self.dilation) > 1

    @property
    def is_volume(self) -> bool:
        """Whether it is of three dims."""
        return len(self.window) == _VOLUME_DIMS

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups == self.in_channels == self.out_channels

    @property
    def is_image(self) -> bool:
        """Whether the channels are so few that the source is read in the plain layout."""
        return self.in_channels <= _IMAGE_CHANNELS

    @property
    def is_half(self) -> bool:
        """Whether sums need wider elements than the operands have."""
        return self.item_bytes < ACCUMULATOR_BYTES

    @property
    def is_pointwise(self) -> bool:
        """Whether windows are single points."""
        return prod(self.window) == 1

    @property
    def block(self) -> int:
        """Channels of a block."""
        return _BLOCK_CHANNELS[self.instruction_set]

    @property
    def busy_threads(self) -> int:
        """Threads that have an image to work on."""
        return min(self.threads, self.batch)

    @property
    def plain_source_bytes(self) -> int:
        """The source in PyTorch's layout."""
        return self.batch * self.in_channels * prod(self.image) * self.item_bytes

    @property
    def plain_destination_bytes(self) -> int:
        """The destination in PyTorch's layout."""
        return self.batch * self.out_channels * prod(self.result) * self.item_bytes

    @property
    def plain_weight_bytes(self) -> int:
        """The weight in PyTorch's layout."""
        return self.out_channels * self.in_channels // self.groups * prod(self.window) * self.item_bytes

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
        """The weight in blocks, but for the channels of a group or of an image."""
        inner = self.in_channels // self.groups
        if self.groups == 1 and not self.is_image:
            inner = self.round_up(inner)
        return self.round_up(self.out_channels) * inner * prod(self.window) * self.item_bytes

    @property
    def strided_weight_bytes(self) -> int:
        """The weight in blocks of its input channels too, as the gradient of a strided source reads it."""
        inner = self.round_up(self.in_channels // self.groups)
        return self.round_up(self.out_channels) * inner * prod(self.window) * self.item_bytes

    @property
    def unrolled_bytes(self) -> int:
        """The windows of one image of one group, side by side as the columns of a matrix (im2col)."""
        inner = self.in_channels // self.groups
        return inner * prod(self.window) * prod(self.result) * self.item_bytes

    @property
    def unrolled_plane_bytes(self) -> int:
        """The windows of one plane of one image of one group, as oneDNN unrolls them."""
        return self.unrolled_bytes // (self.result[0] if self.is_volume else 1)

    @property
    def stepped_source_bytes(self) -> int:
        """One source in blocks without the points that a pointwise product steps over; 0 of other ones.

        Volumes are read where they are.
        """
        if not self.is_pointwise or not self.is_strided or self.is_volume:
            return 0
        return self.round_up(self.in_channels) * prod(self.result) * self.item_bytes

    def source_image_bytes(self, item_bytes: int) -> int:
        """One source in blocks."""
        return self.round_up(self.in_channels) * prod(self.image) * item_bytes

    def destination_image_bytes(self, item_bytes: int) -> int:
        """One destination in blocks."""
        return self.round_up(self.out_channels) * prod(self.result) * item_bytes

    @property
    def padded_destination_image_bytes(self) -> int:
        """One destination in blocks, with a rim so that windows around every point of the source fit."""
        extents = [
            (points - 1 + pad) // step + (dilation * (size - 1) - pad) // step + 1
            for points, size, step, pad, dilation in zip(
                self.image, self.window, self.stride, self.padding, self.dilation, strict=True
            )
        ]
        return self.round_up(self.out_channels) * prod(extents) * self.item_bytes

    @property
    def _pads_output_by_stride(self) -> bool:
        """Whether a transposed convolution makes as many points more as a stride has, in any dim."""
        return self.transposed and any(
            points >= (inner - 1) * step - 2 * pad + dilation * (size - 1) + 1 + step
            for points, inner, size, step, pad, dilation in zip(
                self.image, self.result, self.window, self.stride, self.padding, self.dilation, strict=True
            )
        )

    def round_up(self, channels: int) -> int:
        """Channels of the blocks that hold these."""
        return -(-channels // self.block) * self.block
