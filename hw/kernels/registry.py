"""Registry of kernel models by kind."""

from collections.abc import Mapping

from steelyard.hw.kernels.attention.model import FusedAttention
from steelyard.hw.kernels.common.kernel_model import KernelModel
from steelyard.hw.kernels.common.kernel_queries import KernelKind
from steelyard.hw.kernels.conv2d.model import Conv2dModel
from steelyard.hw.kernels.gemm.model import Gemm
from steelyard.hw.kernels.memory_bound.elementwise import Elementwise
from steelyard.hw.kernels.memory_bound.layer_norm import LayerNorm
from steelyard.hw.kernels.memory_bound.softmax import Softmax

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
