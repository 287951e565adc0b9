"""2-D convolutions: input [n, c, h, w], `o` filters of r x s, forward, dgrad or wgrad."""

from collections.abc import Iterator

from steelyard.hw.kernels.common.kernel_kind import Conflict, Dim, Dims, KernelKind, Mask
from steelyard.hw.kernels.conv2d.model import Conv2dModel


def _conflicts(dims: Dims) -> Iterator[Conflict]:
    for size, window in (("h", "r"), ("w", "s")):
        short = dims[size] + 2 * dims["pad"] < dims[window]
        yield Conflict(short, window, f"is larger than {size} and twice the pad")
    for channels in ("c", "o"):
        yield Conflict(dims[channels] % dims["groups"] != 0, "groups", f"does not divide {channels}")


def _ungrouped(dims: Dims) -> Mask:
    return (dims["groups"] == 1) & (dims["direction"] == "fwd")


def _depthwise(dims: Dims) -> Mask:
    alone = (dims["groups"] == dims["c"]) & (dims["c"] == dims["o"])
    return alone & (dims["groups"] > 1) & (dims["direction"] == "fwd")


KIND = KernelKind(
    name="conv2d",
    work="convolution",
    dims={
        **{name: Dim() for name in ("n", "c", "h", "w", "o", "r", "s")},
        "stride": Dim(default=1, counts=False),
        "pad": Dim(smallest=0, counts=False),
        "groups": Dim(default=1, counts=False),
        "direction": Dim(default="fwd", words=("fwd", "dgrad", "wgrad"), counts=False),
    },
    features=("n", "c", "h w", "o", "r s", "stride", "groups"),
    model=Conv2dModel(),
    vectorized=("c", "o"),
    regressors={"conv2d": _ungrouped, "depthwise_conv2d": _depthwise},
    conflicts=_conflicts,
)
