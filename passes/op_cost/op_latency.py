"""What times the kernels of a program, by the models of its device."""

from typing import cast

from steelyard.compiler.analysis.op_facts import OpInfo, OpInfoCache, to_call
from steelyard.compiler.dialects.cost import (
    WORK,
    LatencyAttr,
    LatencyEstimate,
    UnknownAttr,
    WorkAttr,
    WorkCounts,
)
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import (
    DType,
    ExecutionContext,
    KernelWork,
    Latency,
    Limiter,
    Rows,
    WorkKind,
)
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.gpu_kernel_latency import GpuKernelLatency, sequential_sum
from steelyard.hw.latency.learned_rung import learned_prices
from steelyard.hw.latency.roofline import Roofline
from steelyard.passes.op_cost.collective_latency import CollectiveLatency
from steelyard.passes.op_cost.convolution_bias import bias_kernel
from steelyard.passes.op_cost.kernel_query import KernelQuery, kernel_queries
from steelyard.passes.op_cost.profiled_latency import ProfiledLatency

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

    Products, convolutions, attention, softmax and layer norm of a GPU have models of their own; all else is
    priced as a stream of bytes. Other devices have what was learned on them, else the roofline.

    Args:
        device: The device.
        context: How the program is run.
        ranks: How many devices take part in a collective; without it none can be timed.
        measured: Whether what the local profile knows of an op comes before every model.
    """

    def __init__(
        self, device: Device, context: ExecutionContext, ranks: int | None = None, *, measured: bool = True
    ) -> None:
        self._device, self._context = device, context
        self._roofline = Roofline(device, context)
        self._models = (
            GpuKernelLatency(device, context, measured=measured) if GpuKernelLatency.knows(device) else None
        )
        self._profile = ProfiledLatency.of(device, context) if measured else None
        self._collectives = CollectiveLatency(device, ranks)
        self._reader = OpInfoCache()
        self._by_work: dict[tuple[WorkCounts, str, Rows | None], LatencyAttr] = {}
        self._by_call: dict[int, tuple[OpInfo, LatencyAttr]] = {}
        self._by_query: dict[tuple[KernelQuery, str], Latency] = {}
        self._by_learned: dict[tuple[KernelQuery, str], Latency | None] = {}

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
        if work.data.kind == "collective":
            return _attribute(self._collectives.time(kernel, work.data))
        facts = self._reader.read(kernel)
        if id(facts) not in self._by_call:
            self._by_call[id(facts)] = facts, self._time_call(kernel, facts, work.data)
        modelled = self._by_call[id(facts)][1]
        if self._profile is None or work.data.kind == "view":
            return modelled
        limiter = cast(Limiter, modelled.data.limiter)
        measured = self._profile.time(kernel, facts, work_dtype(work.data), limiter)
        return _attribute(measured) if measured else modelled

    def time_work(self, work: WorkCounts, op: str = "", rows: Rows | None = None) -> LatencyAttr:
        """The latency of a kernel of this work.

        Args:
            work: What it does.
            op: The name of the operation, where it is one of a framework.
            rows: How its largest result lies in memory, where that is known.
        """
        key = work, op, rows
        if key not in self._by_work:
            given = _kernel_work(work, op, rows or Rows())
            streams = self._models is not None and not work.contraction_flops and work.kind != "view"
            latency = (
                self._models.stream(given) if self._models and streams else self._roofline.latency(given)
            )
            self._by_work[key] = _attribute(latency)
        return self._by_work[key]

    @property
    def counts_page_faults(self) -> bool:
        """Whether kernels take longer on this device where they are the first to touch a page."""
        return self._roofline.counts_page_faults

    def with_page_faults(self, latency: LatencyAttr, new_bytes: int) -> LatencyAttr:
        """Return the latency of a kernel that is also the first to touch so many bytes of new pages.

        No model and no measurement of a kernel has page faults in it. The heap may have a hole that serves,
        and a virtual machine may be slow to find pages: the interval goes from none to twice their time.
        """
        known = latency.data
        faults_us = self._roofline.page_faults_s(new_bytes) * 1e6
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

    def _time_call(self, op: TorchOp, facts: OpInfo, work: WorkCounts) -> LatencyAttr:
        if self._models is None or facts.work is None:
            learned = self._learned(op, facts, work_dtype(work)) if self._device.learned else None
            if learned:
                return _attribute(learned)
            rows = facts.work.rows if facts.work else None
            return self.time_work(work, to_call(op).variant, rows)
        dtype = work_dtype(work)
        queries = kernel_queries(to_call(op), facts.work)
        if not queries or not self._models.has_model(queries[0].kind, dtype):
            return self.time_work(work)
        parts = [self._time_query(self._models, query, dtype) for query in queries]
        bias = bias_kernel(facts.work, dtype) if queries[0].kind == "conv2d" else None
        if bias:
            parts.append(self._models.stream(bias))
        return _attribute(sequential_sum(parts))

    def _learned(self, op: TorchOp, facts: OpInfo, dtype: DType) -> Latency | None:
        parts: list[Latency] = []
        for query in kernel_queries(to_call(op), facts.work) if facts.work else ():
            key = query, dtype
            if key not in self._by_learned:
                found = learned_prices(self._device, self._context, query.rows(dtype))
                self._by_learned[key] = found[1].only if found and not query.backward else None
            part = self._by_learned[key]
            if part is None:
                return None
            parts.append(part)
        return sequential_sum(parts) if parts else None

    def _time_query(self, models: GpuKernelLatency, query: KernelQuery, dtype: DType) -> Latency:
        key = query, dtype
        if key not in self._by_query:
            self._by_query[key] = models.time(query.rows(dtype), backward=query.backward)
        return self._by_query[key]


def work_dtype(work: WorkCounts) -> DType:
    """The type that the arithmetic of a kernel is done in, as devices have rates for it."""
    return cast(DType, _ARITHMETIC.get(work.dtype, work.dtype))


def _kernel_work(work: WorkCounts, op: str, rows: Rows) -> KernelWork:
    return KernelWork(
        kind=cast(WorkKind, work.kind),
        dtype=work_dtype(work),
        contraction_flops=work.contraction_flops,
        pointwise_flops=work.pointwise_flops,
        transcendental_flops=work.transcendental_flops,
        bytes_read=work.bytes_read,
        bytes_written=work.bytes_written,
        rows=rows,
        op=op,
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
