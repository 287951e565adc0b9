"""cuDNN workspace of a convolution, for the algorithm that its model finds fastest."""

from typing import cast

from xdsl.ir import Operation

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.cost import WORK, WorkAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.conv2d.model import Conv2dModel, chosen_algorithms
from steelyard.passes.op_cost.kernel_query import KernelQuery, kernel_queries


class CudnnWorkspace:
    """Bytes beside operands and results of the ops of a program on a GPU; 0 where none are known of.

    The algorithms are those of `steelyard.hw.kernels.conv2d.model`. The gradients of the input and of the
    weight are kernels one after the other, and each gives its workspace back.

    Args:
        device: A device on which PyTorch calls cuDNN.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._reader = OpInfoCache()
        self._known: dict[tuple[KernelQuery, str], int] = {}

    def __call__(self, op: Operation) -> int:
        """The bytes of an op, of which `cost.work` is read."""
        work = op.attributes.get(WORK)
        if not isinstance(op, TorchOp) or not isinstance(work, WorkAttr) or work.data.kind != "convolution":
            return 0
        facts = self._reader.read(op)
        if facts.work is None:
            return 0
        queries = kernel_queries(facts.work)
        return max((self._bytes(query, work.data.dtype) for query in queries), default=0)

    def _bytes(self, query: KernelQuery, dtype: str) -> int:
        if query.kind != "conv2d":
            return 0
        key = query, dtype
        if key not in self._known:
            self._known[key] = self._ask(query, cast(DType, dtype))
        return self._known[key]

    def _ask(self, query: KernelQuery, dtype: DType) -> int:
        dims = query.rows(dtype).dims
        try:
            coefficients = Conv2dModel().coefficients(self._device, dtype)
            _, workspace = chosen_algorithms(self._device, dtype, dims, coefficients)
        except DeviceError:  # it has no unit for the type, or its architecture was not modelled
            return 0
        return int(workspace[0])
