"""Peak memory of the zoo, predicted beside the CPU allocator's own events: first step and steady state.

python benchmarks/memory.py            # all twelve models
python benchmarks/memory.py gpt2 vit   # some
"""

import argparse
import gc
from statistics import fmean

import torch
from report import Report, arguments

from steelyard.compiler.analysis.allocation_trace import allocations, first_step
from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.training_step import build_real, run_step
from steelyard.hw.allocators.cpu import CpuAllocator
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.passes.memory.allocator_replay import replay
from steelyard.passes.op_cost.workspace import CpuWorkspace
from steelyard.runtime.execute.single_process import bind
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.timing.steady_state import measure_peak_bytes

ZOO = {
    "gpt2": ("hf:gpt2", {"batch": 1, "sequence": 128}),
    "bert": ("hf:bert", {"batch": 1, "sequence": 128}),
    "resnet-50": ("hf:resnet-50", {"batch": 4}),
    "mobilenet_v2": ("hf:mobilenet_v2", {"batch": 4}),
    "vit": ("hf:vit", {"batch": 2}),
    "t5": ("hf:t5", {"batch": 2, "sequence": 128}),
    "llama": (
        "hf:llama?hidden_size=512&intermediate_size=1376&num_hidden_layers=8&num_attention_heads=8"
        "&num_key_value_heads=4",
        {"batch": 2, "sequence": 256},
    ),
    "mixtral": (
        "hf:mixtral?hidden_size=256&intermediate_size=512&num_hidden_layers=4&num_attention_heads=8"
        "&num_key_value_heads=4",
        {"batch": 4, "sequence": 256},
    ),
    "whisper": ("hf:whisper", {"batch": 1, "sequence": 64}),
    "convnext": ("hf:convnext", {"batch": 2}),
    "swin": ("hf:swin", {"batch": 2}),
    "clip": ("hf:clip", {"batch": 2, "sequence": 64}),
}
MODES = {
    "inference": {},
    "adamw": {"train": True},
    "sgd": {"train": True, "optimizer": "sgd"},
}

EXACT = 1e-5
"""Errors below are tables of a few KiB inside kernels; they count neither as under- nor as over-estimates."""


def compare(spec: str, options: CaptureOptions) -> dict[str, tuple[int, int]]:
    """Return predicted and measured peak bytes of the first and of a later step."""
    model = load_spec(spec, options)
    module = import_program(capture(model, options))
    annotate(module, Target())
    workspace = CpuWorkspace(host_instruction_set(), torch.get_num_threads())
    events = [*allocations(Analyses(module), workspace)]
    predicted = {
        "steady": replay([events], CpuAllocator()).peak.requested,
        "first": replay([first_step(Analyses(module), events)], CpuAllocator()).peak.requested,
    }
    built, optimizer = build_real(model, options)
    resident = list(bind(built, optimizer).values())
    found = {}
    for step in ("steady", "first") if optimizer else ("steady",):
        if step == "first" and optimizer is not None:
            optimizer.state.clear()
            resident = list(bind(built, optimizer).values())
        gc.collect()
        measured = measure_peak_bytes(lambda: run_step(built, optimizer, options), resident)
        found[step] = predicted[step], measured
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", help=", ".join(ZOO))
    given = parser.parse_args(arguments())
    report = Report(
        "memory",
        "Peak memory of twelve models",
        "Peak of the first and of a later step by the CPU allocator's events, at real sizes: inference, "
        "AdamW and SGD. Predicted / measured.",
        {"model": "", "dtype": "", "cases": ",", "lowest": ".5f", "highest": ".5f"},
    )
    errors: list[float] = []
    for name in given.models or ZOO:
        spec, sizes = ZOO[name]
        for autocast in (None, "bfloat16"):
            ratios: list[float] = []
            for choices in MODES.values():
                options = CaptureOptions(**sizes, **choices, autocast=autocast)
                ratios += [predicted / measured for predicted, measured in compare(spec, options).values()]
            report.add(
                name, f"{autocast} autocast" if autocast else "f32", len(ratios), min(ratios), max(ratios)
            )
            errors += [ratio - 1 for ratio in ratios]
    under = [error for error in errors if error < -EXACT]
    report.finish(
        f"{fmean(map(abs, errors)):.3%} mean, {max(map(abs, errors)):.2%} worst of {len(errors)} cases; "
        f"{len(under) / len(errors):.0%} are under-estimated, by {-min(under, default=0):.2%} at the most",
        "0.2% mean, 1% worst",
    )


if __name__ == "__main__":
    main()
