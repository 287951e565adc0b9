"""The parts of a fused attention's time."""

from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import ExecutionUnit, contraction_unit
from steelyard.hw.devices.typical_factors import MEMORY_FRACTION
from steelyard.hw.kernels.attention.schedule import SCHEDULED_SEQUENCES, Schedule, schedule
from steelyard.hw.kernels.attention.shape import Attentions
from steelyard.hw.kernels.attention.tiles import WIDEST_HEAD, TileMenu, tile_menu
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.common.memory_system import overlapped_s

_OVERLAP = 4
"""Exponent of the soft maximum of on-chip and memory time; 2 and 8 fit A100 and H100 no better."""

_PARTIAL_BYTES = 4
"""Partial results of splits are f32."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of each attention, without launches.

    Attributes:
        on_chip_s: What the SMs need.
        memory_s: What the memory needs; nothing where all fits in the last cache, from where replays read it.
        body_s: Both, overlapped, and the planning of the batch.
        combine_s: Adding up what splits found.
        cache_write_s: Writing the new keys and values to their cache, a kernel of its own.
        compute_floor_s: FLOPs over the peak.
        memory_floor_s: Bytes that the last cache cannot hold, over the peak.
    """

    on_chip_s: Floats
    memory_s: Floats
    body_s: Floats
    combine_s: Floats
    cache_write_s: Floats
    compute_floor_s: Floats
    memory_floor_s: Floats


def parts(
    shape: Attentions, device: Device, dtype: DType, context: ExecutionContext, c: Coefficients
) -> Parts:
    """Return the parts of each attention's time.

    Raises:
        DeviceError: The device has no unit for the type, or its memory is not described.
    """
    unit = ExecutionUnit.of(device, dtype, tf32=context.tf32)
    bytes_per_s = unit.memory_bytes_per_s * c["memory_fraction"]
    touched_bytes = 2 * shape.query_bytes + shape.kv_bytes
    memory_s = np.where(touched_bytes < unit.cache_bytes, 0, touched_bytes) / bytes_per_s
    compute_floor_s = shape.contraction_flops / unit.peak_flops_per_s
    memory_floor_s = np.maximum(touched_bytes - unit.cache_bytes, 0) / unit.memory_bytes_per_s
    none = np.zeros_like(touched_bytes)
    if device.kind not in ("gpu", "soc"):
        on_chip_s = _sustained_s(shape, device, dtype, context)
        memory_s = touched_bytes / (unit.memory_bytes_per_s * MEMORY_FRACTION[device.memory_kind])
        body_s = np.maximum(on_chip_s, memory_s)
        return Parts(on_chip_s, memory_s, body_s, none, none, compute_floor_s, memory_floor_s)

    menu = tile_menu(device)
    lanes = ExecutionUnit.of(device, "f32", lanes=True)
    tasks = schedule(shape, menu, unit.count)
    on_chip_s = _on_chip_s(shape, tasks, unit, lanes, c)
    combine_s = np.where(tasks.splits > 1, c["combine_s"], 0.0)
    combine_s += np.maximum(_partial_bytes(shape, tasks, menu) - unit.cache_bytes, 0) / bytes_per_s
    if not menu.by_rule:
        unsplit_s = _on_chip_s(shape, schedule(shape, menu, unit.count, may_split=False), unit, lanes, c)
        faster = unsplit_s < on_chip_s + combine_s
        on_chip_s, combine_s = np.where(faster, unsplit_s, on_chip_s), np.where(faster, 0.0, combine_s)
    planning_s = c.get("sequence_s", 0.0) * np.minimum(shape.b, SCHEDULED_SEQUENCES)
    return Parts(
        on_chip_s=on_chip_s,
        memory_s=memory_s,
        body_s=overlapped_s(on_chip_s, memory_s, _OVERLAP) + planning_s,
        combine_s=combine_s,
        cache_write_s=2 * shape.new_kv_bytes / bytes_per_s + c.get("token_s", 0.0) * shape.b * shape.sq,
        compute_floor_s=compute_floor_s,
        memory_floor_s=memory_floor_s,
    )


def _on_chip_s(
    shape: Attentions, tasks: Schedule, unit: ExecutionUnit, lanes: ExecutionUnit, c: Coefficients
) -> Floats:
    contraction_flops_per_s = unit.peak_flops_per_s / unit.count * c["matrix_fraction"]
    vector_flops_per_s = lanes.peak_flops_per_s / unit.count
    # The scores of a wide head are computed anew for each part of its features that registers hold.
    passes = np.ceil(shape.d / WIDEST_HEAD)
    score_s = (passes + 1) * 2 * shape.d / contraction_flops_per_s
    score_s += passes * c["softmax_flops"] / vector_flops_per_s
    rows = tasks.tile_rows if unit.is_matrix else np.minimum(tasks.tile_rows, shape.rows_per_kv_head)
    key_tile_s = rows * tasks.tile_keys * score_s
    key_tile_s *= np.where(tasks.splittable, c["split_slowdown"], 1.0)
    # Queries in, results out, and the first keys and values.
    filled_bytes = 2 * (tasks.tile_rows + tasks.tile_keys) * shape.d * shape.item_bytes
    task_s = c["task_s"] + filled_bytes / (c["fill_bytes_per_clock"] * lanes.clock_hz)
    return tasks.makespan_s(unit.count, key_tile_s, task_s)


def _partial_bytes(shape: Attentions, tasks: Schedule, menu: TileMenu) -> Floats:
    """Return the traffic of partial results, which are written and read."""
    rows = shape.b * shape.hq * shape.sq * np.where(tasks.splits > 1, tasks.splits, 0)
    if menu.wide_splits > 1:
        wide = (shape.d > WIDEST_HEAD) & (shape.sq == 1) & (shape.b <= SCHEDULED_SEQUENCES)
        rows = np.where(wide, tasks.query_tiles * tasks.tile_rows * menu.wide_splits, rows)
    return 2 * _PARTIAL_BYTES * rows * shape.d


def _sustained_s(shape: Attentions, device: Device, dtype: DType, context: ExecutionContext) -> Floats:
    sustained = device.sustained_with(context.threads)
    unit = contraction_unit(device, sustained, "attention", dtype, context.tf32)
    if unit is None:
        return np.zeros_like(shape.b)
    flops = shape.contraction_flops
    return flops / np.array([unit.rate(each) for each in flops.tolist()])
