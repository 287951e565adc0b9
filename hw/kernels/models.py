"""Which model prices which kind of kernel."""

from collections.abc import Mapping

from steelyard.hw.kernels.attention import FusedAttention
from steelyard.hw.kernels.conv2d import Conv2dModel
from steelyard.hw.kernels.elementwise import Elementwise
from steelyard.hw.kernels.gemm import Gemm
from steelyard.hw.kernels.layer_norm import LayerNorm
from steelyard.hw.kernels.model import KernelModel
from steelyard.hw.kernels.query import KernelKind
from steelyard.hw.kernels.softmax import Softmax

MODELS: Mapping[KernelKind, KernelModel] = {
    "gemm": Gemm("gemm"),
    "bmm": Gemm("bmm"),
    "conv2d": Conv2dModel(),
    "elementwise": Elementwise(),
    "softmax": Softmax(),
    "layer_norm": LayerNorm(),
    "attention_prefill": FusedAttention("attention_prefill"),
    "attention_decode": FusedAttention("attention_decode"),
}
