"""Fit the latency and the bandwidth of gloo between processes of one machine, as in hw/links/collective.py.

    python benchmarks/fit/gloo_loopback.py [RANKS]

Times functional all-reduces of f32 tensors of 4 B to 32 MiB between processes with one thread each, takes the
median of each size, and fits alpha and bandwidth of `Ring.all_reduce_s` to them, each size weighing alike.
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from scipy.optimize import least_squares

from steelyard.hw.links.collective import Ring

SIZES_BYTES = [4 << (2 * each) for each in range(12)] + [32 << 20]
REPEATS = 15


def main() -> None:
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    mp.spawn(_measure, (ranks,), nprocs=ranks)


def _measure(rank: int, ranks: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29577", rank=rank, world_size=ranks)
    times_s = [_time_s(size) for size in SIZES_BYTES]
    if rank == 0:
        _fit(ranks, np.array(times_s))
    dist.destroy_process_group()


def _time_s(size_bytes: int) -> float:
    tensor = torch.ones(size_bytes // 4)
    times = []
    for _ in range(REPEATS):
        dist.barrier()
        start = perf_counter()
        pending = torch.ops._c10d_functional.all_reduce(tensor, "sum", "0")
        torch.ops._c10d_functional.wait_tensor(pending)
        times.append(perf_counter() - start)
    return median(times)


def _fit(ranks: int, times_s: np.ndarray) -> None:
    def residuals(logs: np.ndarray) -> np.ndarray:
        alpha, bandwidth = np.exp(logs)
        ring = Ring(ranks=ranks, latency_s=alpha, bandwidth_bytes_per_s=bandwidth)
        return np.log([ring.all_reduce_s(size) for size in SIZES_BYTES]) - np.log(times_s)

    found = least_squares(residuals, np.log([1e-4, 1e9]), loss="soft_l1", f_scale=0.2)
    alpha, bandwidth = np.exp(found.x)
    print(f"{ranks} ranks: alpha {alpha * 1e6:.1f} us, bandwidth {bandwidth / 1e9:.3f} GB/s")
    for size, time_s, off in zip(SIZES_BYTES, times_s, residuals(found.x), strict=True):
        print(f"{size:>10} B {time_s * 1e6:>10.1f} us, predicted over measured {np.exp(off):.2f}")


if __name__ == "__main__":
    main()
