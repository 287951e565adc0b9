"""Memory that oneDNN's f32 convolutions take while they run, beside their operands and results.

The kernels work on blocked layouts: channels in blocks of 16 (one AVX-512 register), so operands in PyTorch's
plain layout are copied in, and the result is copied out. Taken from the allocation events of
`aten.convolution` and `aten.convolution_backward` (oneDNN of torch 2.13 on an AVX-512 CPU); scratch that a
kernel keeps per thread is left out.
"""

from dataclasses import dataclass

_BLOCK = 16
_SMALL_CHANNELS = 3
"""An image's channels are read in the plain layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution: `source` and `destination` in elements per channel, `taps` of the kernel."""

    in_channels: int
    out_channels: int
    groups: int
    source: int
    destination: int
    taps: int
    item_bytes: int

    @property
    def source_bytes(self) -> int:
        """The source in blocks; 0 where it is read as it is."""
        return 0 if self.in_channels <= _SMALL_CHANNELS else self._blocked(self.in_channels) * self.source

    @property
    def destination_bytes(self) -> int:
        """The destination in blocks."""
        return self._blocked(self.out_channels) * self.destination

    @property
    def weight_bytes(self) -> int:
        """The weight in blocks."""
        if self.groups > 1:
            return self._blocked(self.out_channels) * self.in_channels // self.groups * self.taps
        ins = self.in_channels if self.in_channels <= _SMALL_CHANNELS else _round_up(self.in_channels)
        return self._blocked(self.out_channels) * ins * self.taps

    def _blocked(self, channels: int) -> int:
        return _round_up(channels) * self.item_bytes


def forward_peak_bytes(sizes: Convolution) -> int:
    """The most that a forward convolution has allocated at once, its result included."""
    source, weight, destination = sizes.source_bytes, sizes.weight_bytes, sizes.destination_bytes
    return max(source + weight + destination, 2 * destination)


def backward_peak_bytes(sizes: Convolution, data: bool, weights: bool) -> int:
    """The most that a backward convolution has allocated at once, its results included.

    Args:
        sizes: Of the forward convolution.
        data: Whether the gradient of the source is asked for; it is done first.
        weights: Whether the gradient of the weight is asked for.
    """
    weight, destination = sizes.weight_bytes, sizes.destination_bytes
    source = _round_up(sizes.in_channels) * sizes.item_bytes * sizes.source
    first = max(destination + weight + source, 2 * source) if data else 0
    second = (source if data else 0) + destination + source + 2 * weight if weights else 0
    return max(first, second)


def _round_up(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK
