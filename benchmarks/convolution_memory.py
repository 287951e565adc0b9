"""Peak memory inside single convolutions, predicted beside the CPU allocator's own events.

python benchmarks/convolution_memory.py
ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=1 python benchmarks/convolution_memory.py

Predicted are the kernels of the instruction set in use, AVX2 or AVX-512.
"""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from report import Report

from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.scratch.convolution import Convolution
from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.timing.steady_state import measure_peak_bytes

# batch, channels, side, filters, window, stride, padding, groups: of the models of the zoo.
SHAPES = [
    (4, 3, 224, 64, 7, 2, 3, 1),
    (4, 64, 56, 64, 1, 1, 0, 1),
    (4, 64, 56, 64, 3, 1, 1, 1),
    (4, 64, 56, 256, 1, 1, 0, 1),
    (4, 256, 56, 128, 1, 1, 0, 1),
    (4, 128, 56, 128, 3, 2, 1, 1),
    (4, 256, 56, 512, 1, 2, 0, 1),
    (4, 512, 7, 512, 3, 1, 1, 1),
    (4, 3, 225, 32, 3, 2, 0, 1),
    (4, 32, 112, 32, 3, 1, 1, 32),
    (4, 96, 113, 96, 3, 2, 0, 96),
    (4, 32, 112, 16, 1, 1, 0, 1),
    (4, 144, 56, 24, 1, 1, 0, 1),
    (2, 3, 224, 96, 4, 4, 0, 1),
    (2, 96, 56, 96, 7, 1, 3, 96),
    (2, 768, 7, 768, 7, 1, 3, 768),
    (2, 96, 56, 192, 2, 2, 0, 1),
    (2, 384, 14, 768, 2, 2, 0, 1),
    (1, 3, 224, 768, 16, 16, 0, 1),
    (2, 3, 224, 768, 16, 16, 0, 1),
    (2, 3, 224, 768, 32, 32, 0, 1),
    (2, 64, 28, 64, 5, 1, 2, 64),
    (8, 3, 32, 16, 3, 1, 1, 1),
    (2, 24, 28, 40, 3, 1, 1, 1),
]


def cases(
    dtype: torch.dtype, instruction_set: InstructionSet
) -> Iterator[tuple[str, int, Callable[[], Any]]]:
    """Yield a name, the predicted peak and what to run, for each shape and direction."""
    for shape in SHAPES:
        batch, channels, side, filters, window, stride, padding, groups = shape
        source = torch.randn(batch, channels, side, side, dtype=dtype)
        weight = torch.randn(filters, channels // groups, window, window, dtype=dtype)
        call = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups
        result = torch.ops.aten.convolution(source, weight, None, *call)
        sizes = Convolution(
            batch=batch,
            in_channels=channels,
            out_channels=filters,
            groups=groups,
            image=(side, side),
            result=tuple(result.shape[2:]),
            window=(window, window),
            stride=(stride,) * 2,
            padding=(padding,) * 2,
            dilation=(1, 1),
            item_bytes=source.element_size(),
            threads=torch.get_num_threads(),
            instruction_set=instruction_set,
        )
        yield (
            f"{shape} forward",
            forward_peak_bytes(sizes),
            lambda c=call, s=source, w=weight: torch.ops.aten.convolution(s, w, None, *c),
        )
        gradient = torch.randn_like(result)
        for data in (True, False):
            mask = [data, True, False]
            yield (
                f"{shape} backward{'' if data else ' of the weight'}",
                backward_peak_bytes(sizes, data, True),
                lambda c=call, g=gradient, s=source, w=weight, m=mask: torch.ops.aten.convolution_backward(
                    g, s, w, None, *c, m
                ),
            )


def main() -> None:
    instruction_set = host_instruction_set()
    if instruction_set not in ("avx2", "avx512"):
        raise SystemExit(f"the scratch of {instruction_set} is not modelled")
    report = Report(
        "convolution_memory",
        "Scratch of single convolutions",
        "Peak memory inside convolutions of the zoo, both directions, by the CPU allocator's events.",
        {
            "dtype": "",
            "cases": ",",
            "within 1%": ",",
            "median error": ".1%",
            "largest difference, bytes": ",",
            "its convolution": "",
        },
    )
    near = total = 0
    for dtype in (torch.float32, torch.bfloat16):
        found = dict[str, tuple[int, int]]()
        for name, predicted, run in cases(dtype, instruction_set):
            run()
            found[name] = predicted, measure_peak_bytes(run, ())
        errors = [abs(predicted / measured - 1) for predicted, measured in found.values()]
        apart = {name: abs(predicted - measured) for name, (predicted, measured) in found.items()}
        farthest = max(apart, key=apart.__getitem__)
        close = sum(error < 0.01 for error in errors)
        name = str(dtype).removeprefix("torch.")
        report.add(name, len(errors), close, median(errors), apart[farthest], farthest)
        near, total = near + close, total + len(errors)
    report.finish(f"{near} of {total} within 1%")


if __name__ == "__main__":
    main()
