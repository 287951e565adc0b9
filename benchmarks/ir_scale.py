"""Times reading and annotating a program of 20,000 ops: `python benchmarks/ir_scale.py`."""

from time import perf_counter

from report import Report

from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target

NUM_OPS = 20_000


def main() -> None:
    body = "\n".join(
        f"    %v{i + 1} = aten.mm(%v{i}, %w) "
        f'{{phase = "forward", path = "layers.{i // 100}.mlp", source = "model.py:12"}} : tensor<64x64xf32>'
        for i in range(NUM_OPS)
    )
    tensor = "tensor<64x64xf32>"
    text = (
        f"builtin.module {{\n  func.func @forward(%v0: {tensor}, %w: {tensor}) -> {tensor} {{\n"
        f"{body}\n    func.return %v{NUM_OPS} : {tensor}\n  }}\n}}\n"
    )
    report = Report(
        "ir_scale",
        f"Programs of {NUM_OPS:,} ops",
        "A program of matrix products is annotated for an H100, and parsed with its annotations.",
        {"step": "", "s": ".1f"},
    )
    module = parse_program(text)
    start = perf_counter()
    annotate(module, Target(device="h100-sxm"))
    annotated = perf_counter() - start
    text = format_program(module)
    start = perf_counter()
    parse_program(text)
    parsed = perf_counter() - start
    report.add("annotate", annotated)
    report.add(f"parse {len(text) / 1e6:.1f} MB", parsed)
    report.finish(f"annotated in {annotated:.1f} s, parsed in {parsed:.1f} s", "5 s and 15 s")


if __name__ == "__main__":
    main()
