"""The time of a tiled matrix product on the SMs, memory apart: tiles, waves, and the sums cut in parts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import clock_hz
from steelyard.hw.devices.nvidia_sm import half_macs_per_cycle
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.gemm.shape import Products

STEP_BYTES = 64
"""Bytes of k that a tile takes in one step: 32 elements of 16 bits, as in cuBLAS' kernels for compute
capability 8 (`cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x64_32x6_nn_align8`, pytorch/pytorch#181718).
Twice that, as Hopper's kernels take, changes the error on A100 and H100 by 0.2 points."""

PARTIAL_BYTES = 4
"""Bytes of a partial sum, which is f32."""

CHOICE_EXPONENT = 20.0
"""How near to the fastest candidate the chosen one is. The candidates' times t are joined by
(sum t^-20)^(-1/20), smooth and monotone in each; 15 to 30 fit A100 and H100 alike."""

SPLITS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Into how many parts the sums over k may be cut, so that a small result still occupies all SMs."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of the result.

    Attributes:
        m: Its rows.
        n: Its columns.
        resident: How many share an SM; assumed from the registers and the shared memory that such tiles need.
    """

    m: int
    n: int
    resident: int


SHARERS = {"9.0": 2, "10.0": 2}
"""SMs of a cluster of two tiles share what they load, by compute capability: the multicast of TMA, which the
kernels of cuBLAS for these use (`2x1x1` in `sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x256x64`)."""

TILES = (
    Tile(16, 64, 6),
    Tile(32, 64, 5),
    Tile(64, 64, 4),
    Tile(64, 128, 3),
    Tile(128, 64, 3),
    Tile(128, 128, 2),
    Tile(256, 128, 1),
    Tile(128, 256, 1),
)
"""Shapes as in the names of cuBLAS' kernels; leaving one out changes the error by under 0.3 points."""


@dataclass(frozen=True, slots=True)
class TensorCores:
    """The SMs of one device, in the units of the formula.

    Attributes:
        sms: How many there are.
        macs_per_s: Peak of one SM for the type at hand.
        half_macs_per_s: What its SMs are built to multiply of 16-bit operands, which stands for the width of
            its data paths: each generation moves operands in step with that. Boards that multiply at half of
            it where sums are in f32 (GeForce) move operands as fast as others.
        clock_hz: Their clock at that peak.
        sharers: How many SMs get what one of them fetches.
    """

    sms: float
    macs_per_s: float
    half_macs_per_s: float
    clock_hz: float
    sharers: int = 1

    @staticmethod
    def of(device: Device, peak_flops_per_s: float, operand_bytes: int) -> "TensorCores":
        """Return the tensor cores of a device for a type of this peak and size."""
        sms = device.compute_units.value
        macs_per_s = peak_flops_per_s / 2 / sms
        clock = clock_hz(device, matrix=True)
        return TensorCores(
            sms,
            macs_per_s,
            max(macs_per_s * operand_bytes / 2, half_macs_per_cycle(device) * clock),
            clock_hz=clock,
            sharers=SHARERS.get(device.compute_capability or "", 1),
        )


def on_chip_s(shape: Products, cores: TensorCores, c: Coefficients) -> Floats:
    """Return the time in seconds that the SMs take, whatever memory does.

    A tile of m x n takes ceil(k / step) steps. An SM that works on q of them is done when it has multiplied
    and fetched for all of them; a lone tile cannot fetch as fast as the SM. Then results are written. Sums
    cut into s parts make s times the tiles, and cost a pass over the partial sums.

    The waves are those of NVIDIA's "Matrix Multiplication Background User's Guide" (tile and wave
    quantization); the split is that of CUTLASS' "Efficient GEMM in CUDA" (parallelized reductions).
    """
    inverse = np.zeros_like(shape.m)
    for each in _candidates_s(shape, cores, c):
        inverse += each**-CHOICE_EXPONENT
    seconds = inverse ** (-1 / CHOICE_EXPONENT)
    return seconds * np.where(shape.aligned, 1.0, 1 / c["unaligned_fraction"])


def _candidates_s(shape: Products, cores: TensorCores, c: Coefficients) -> Iterator[Floats]:
    bytes_per_kilomac = cores.half_macs_per_s / 1024
    fetch_bytes_per_s = c["fetch_bytes_per_kilomac"] * bytes_per_kilomac
    lone_bytes_per_s = c["lone_fetch_bytes_per_kilomac"] * bytes_per_kilomac
    store_bytes_per_s = c["store_bytes_per_kilomac"] * bytes_per_kilomac
    step_k = STEP_BYTES // shape.operand_bytes
    steps = {split: np.ceil(shape.k / (step_k * split)) for split in SPLITS}
    partial_bytes = shape.batch * shape.m * shape.n * PARTIAL_BYTES
    for tile in TILES:
        tiles = shape.batch * np.ceil(shape.m / tile.m) * np.ceil(shape.n / tile.n)
        step_bytes = (tile.m + tile.n) * STEP_BYTES
        multiply_s = tile.m * tile.n * step_k / (cores.macs_per_s * c["multiply_fraction"])
        step_s = max(multiply_s, step_bytes / (fetch_bytes_per_s * cores.sharers))
        lone_step_s = step_bytes / lone_bytes_per_s
        store_s = tile.m * tile.n * shape.result_bytes / store_bytes_per_s
        for split in SPLITS:
            tiles_per_sm = np.ceil(tiles * split / cores.sms)
            waves = np.ceil(tiles * split / (cores.sms * tile.resident))
            busy_s = steps[split] * np.maximum(tiles_per_sm * step_s, waves * lone_step_s)
            if split == 1:
                yield busy_s + tiles_per_sm * store_s
                continue
            merge_s = 2 * split * partial_bytes / (fetch_bytes_per_s * cores.sms)
            yield busy_s + 2 * tiles_per_sm * store_s + merge_s + c["split_cycles"] / cores.clock_hz
