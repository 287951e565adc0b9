"""Latency model of a program's kernels on a device."""

from typing import cast

from steelyard.compiler.analysis.op_facts import OpInfo, OpInfoCache
from steelyard.compiler.analysis.op_signature import op_signature
from steelyard.compiler.dialects.cost import (
    WORK,
    LatencyAttr,
    LatencyEstimate,
    UnknownAttr,
    WorkAttr,
    WorkCounts,
)
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import CHANNELS_LAST
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import DType, ExecutionContext, KernelWork, WorkKind
from steelyard.hw.base.latency import Latency
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.kernel_latency import Kernel, KernelLatency
from steelyard.passes.op_cost.collective_latency import CollectiveLatency
from steelyard.passes.op_cost.convolution_bias import bias_kernel
from steelyard.passes.op_cost.convolution_layout import layout_kernels
from steelyard.passes.op_cost.kernel_query import kernel_queries

# Devices have no rates of their own for complex and unsigned numbers.
_ARITHMETIC = {
    "c32": "f16",
    "c64": "f32",
    "c128": "f64",
    "ui8": "i8",
    "ui16": "i16",
    "ui32": "i32",
    "ui64": "i64",
    "none": "f32",
}


class LatencyModel:
    """Times kernels by their work; what it found for one it knows for all that are like it.

    Which kernels do the work of an op follows from its description; the ladder of `hw.latency` times them.

    Args:
        device: The device.
        context: How the program is run.
        ranks: How many devices take part in a collective; without it none can be timed.
        measured: Whether what the local profile knows of an op comes before every model.
    """

    def __init__(
        self, device: Device, context: ExecutionContext, ranks: int | None = None, *, measured: bool = True
    ) -> None:
        self._device = device
        self._tf32 = context.tf32
        self._kernels = KernelLatency(device, context, measured=measured)
        self._collectives = CollectiveLatency(device, ranks)
        self._reader = OpInfoCache()
        self._by_work: dict[WorkCounts, LatencyAttr] = {}
        self._by_call: dict[tuple[int, str, bool], tuple[OpInfo, LatencyAttr]] = {}

    def time(self, kernel: TorchOp | FusedOp) -> LatencyAttr | None:
        """The latency of a kernel, None where its work is unknown.

        Raises:
            IRError: It has no `cost.work`.
            DeviceError: The device lacks what the work needs.
        """
        work = kernel.attributes.get(WORK)
        if isinstance(work, UnknownAttr):
            return None
        if not isinstance(work, WorkAttr):
            raise IRError(what=f"{kernel.name} has no cost.work", fix="run annotate-cost before")
        if isinstance(kernel, FusedOp):
            return self.time_work(work.data)
        facts = self._reader.read(kernel)
        if work.data.kind == "collective":
            kind = facts.work.collective if facts.work else ""
            return _attribute(self._collectives.time(kernel, kind, work.data))
        if work.data.kind == "view" or facts.work is None:
            return self.time_work(work.data)
        signature = op_signature(kernel, self._reader) if self._kernels.has_profile else ""
        channels_last = CHANNELS_LAST in kernel.attributes
        key = id(facts), signature, channels_last
        if key not in self._by_call:
            dtype = work_dtype(work.data)
            kernels = op_kernels(facts.work, dtype)
            if kernels and self._device.is_cuda:
                on = "tf32" if self._tf32 and dtype == "f32" else dtype
                copies = layout_kernels(facts.work, on, self._device, channels_last=channels_last)
                kernels += tuple(Kernel(work=each) for each in copies)
            latency = self._kernels.time(_kernel_work(work.data), kernels, signature, dtype)
            self._by_call[key] = facts, _attribute(latency)  # facts stay alive, so that no other has their id
        return self._by_call[key][1]

    def time_work(self, work: WorkCounts) -> LatencyAttr:
        """Return the latency of a kernel of this work."""
        if work not in self._by_work:
            self._by_work[work] = _attribute(self._kernels.time(_kernel_work(work)))
        return self._by_work[work]

    @property
    def counts_page_faults(self) -> bool:
        """Whether kernels take longer on this device where they are the first to touch a page."""
        return self._kernels.roofline.counts_page_faults

    def with_page_faults(self, latency: LatencyAttr, new_bytes: int) -> LatencyAttr:
        """Return the latency of a kernel that is also the first to touch so many bytes of new pages.

        No model and no measurement of a kernel has page faults in it. The heap may have a hole that serves,
        and a virtual machine may be slow to find pages: the interval goes from none to twice their time.
        """
        known = latency.data
        faults_us = self._kernels.roofline.page_faults_s(new_bytes) * 1e6
        if not faults_us:
            return latency
        return LatencyAttr(
            LatencyEstimate(
                value_us=_significant(known.value_us + faults_us),
                low_us=known.low_us,
                high_us=_significant(known.high_us + faults_us * 2),
                limiter="memory" if faults_us > known.value_us else known.limiter,
                source=known.source,
            )
        )


def op_kernels(work: OpWork, dtype: DType) -> tuple[Kernel, ...]:
    """Return the kernels that do the work of an op, none where no kind of kernel with dims does it."""
    queries = kernel_queries(work)
    kernels = [Kernel(query=query.rows(dtype), backward=query.backward) for query in queries]
    bias = bias_kernel(work, dtype) if queries and queries[0].kind == "conv2d" else None
    return (*kernels, Kernel(work=bias)) if bias else tuple(kernels)


def work_dtype(work: WorkCounts) -> DType:
    """The type that the arithmetic of a kernel is done in, as devices have rates for it."""
    return cast(DType, _ARITHMETIC.get(work.dtype, work.dtype))


def _kernel_work(work: WorkCounts) -> KernelWork:
    return KernelWork(
        kind=cast(WorkKind, work.kind),
        dtype=work_dtype(work),
        **work.counts(),
    )


def _attribute(latency: Latency) -> LatencyAttr:
    return LatencyAttr(
        LatencyEstimate(
            value_us=_microseconds(latency.value_s),
            low_us=_microseconds(latency.low_s),
            high_us=_microseconds(latency.high_s),
            limiter=latency.limiter,
            source=latency.source,
        )
    )


def _microseconds(seconds: float) -> float:
    return _significant(seconds * 1e6)


def _significant(microseconds: float) -> float:
    # Six digits say more than any model knows, and keep the text of a program short.
    return float(f"{microseconds:.6g}")
