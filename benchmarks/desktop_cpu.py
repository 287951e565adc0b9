"""The generic device `cpu`, of which nothing was measured, beside models on a desktop CPU (timm's results).

    python benchmarks/desktop_cpu.py FOLDER

FOLDER holds timm's benchmark-infer-fp32-nchw-pt240-cpu-i9_10940x-dynamo.csv: batch 1, f32, compiled. That CPU
has 14 cores with AVX-512 where `cpu` stands for eight with AVX2. Nothing is fitted to it.
"""

import csv
from collections.abc import Iterator
from math import exp, log
from pathlib import Path
from statistics import fmean, stdev

from report import Report, arguments
from scipy.stats import kendalltau

from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.program.load import load_program, step_time_us

FILE = "benchmark-infer-fp32-nchw-pt240-cpu-i9_10940x-dynamo.csv"
BASIC = "hf:resnet?layer_type=basic&hidden_sizes=[64,128,256,512]"
WIDE = "hidden_sizes=[128,256,512,1024]"
SPECS = {
    "resnet18": f"{BASIC}&depths=[2,2,2,2]",
    "resnet34": f"{BASIC}&depths=[3,4,6,3]",
    "resnet50": "hf:resnet-50",
    "resnet101": "hf:resnet?depths=[3,4,23,3]",
    "mobilenetv2_100": "hf:mobilenet_v2",
    "vit_small_patch16_224": "hf:vit?hidden_size=384&intermediate_size=1536&num_attention_heads=6",
    "vit_base_patch16_224": "hf:vit",
    "convnext_tiny": "hf:convnext",
    "convnext_small": "hf:convnext?depths=[3,3,27,3]",
    "convnext_base": f"hf:convnext?depths=[3,3,27,3]&{WIDE}",
    "swin_tiny_patch4_window7_224": "hf:swin",
}
"""Models of timm by the SPEC that is alike."""


def rows(folder: Path) -> Iterator[tuple[str, int, float]]:
    with (folder / FILE).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["model"] in SPECS:
                yield row["model"], int(row["infer_img_size"]), float(row["infer_step_time"])


def main() -> None:
    report = Report(
        "desktop_cpu",
        "A CPU of which nothing was measured",
        "The device `cpu` beside timm's table of a Core i9-10940X, batch 1, f32, compiled.",
        {
            "model": "",
            "pixels": ",",
            "predicted ms": ".2f",
            "measured ms": ".2f",
            "predicted / measured": ".2f",
        },
    )
    predicted: list[float] = []
    measured: list[float] = []
    for model, size, measured_ms in rows(Path(arguments()[0])):
        module = load_program(SPECS[model], {"image_size": size})
        annotate(module, Target(device="cpu", context="compiled"))
        predicted_ms = step_time_us(module) / 1e3
        report.add(model, size, predicted_ms, measured_ms, predicted_ms / measured_ms)
        predicted.append(predicted_ms)
        measured.append(measured_ms)
    logs = [log(ours / theirs) for ours, theirs in zip(predicted, measured, strict=True)]
    tau, _ = kendalltau(predicted, measured)
    typical, spread = exp(fmean(logs)), exp(stdev(logs))
    report.finish(f"typical ratio {typical:.2f}, spread by a factor of {spread:.2f}, Kendall's tau {tau:.2f}")


if __name__ == "__main__":
    main()
