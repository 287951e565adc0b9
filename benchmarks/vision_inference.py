"""f16 autocast inference of vision models on an RTX 3090: predicted beside timm's measurements.

    python benchmarks/vision_inference.py ../shared/measured

Channels last, PyTorch 2.4, eager. The definitions are those of transformers; timm computes queries, keys and
values in one product where they take three and as many casts.
"""

import csv
from pathlib import Path
from statistics import fmean

from report import Report, arguments

from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.program.load import load_program, step_time_us

RESNET = "hf:resnet?depths=[{}]"
BASIC = RESNET + "&layer_type=basic&hidden_sizes=[64,128,256,512]"
VIT = "hf:vit?hidden_size={}&num_attention_heads={}&intermediate_size={}&num_hidden_layers={}"
SPECS = {
    "resnet18": BASIC.format("2,2,2,2"),
    "resnet34": BASIC.format("3,4,6,3"),
    "resnet50": RESNET.format("3,4,6,3"),
    "resnet101": RESNET.format("3,4,23,3"),
    "vit_small_patch16_224": VIT.format(384, 6, 1536, 12),
    "vit_base_patch16_224": VIT.format(768, 12, 3072, 12),
    "vit_large_patch16_224": VIT.format(1024, 16, 4096, 24),
    "convnext_tiny": "hf:convnext",
    "convnext_base": "hf:convnext?hidden_sizes=[128,256,512,1024]&depths=[3,3,27,3]",
    "swin_tiny_patch4_window7_224": "hf:swin",
}
IMAGE_SIZE = 224


def main() -> None:
    path = Path(arguments()[0]) / "timm/benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv"
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if int(row["infer_img_size"]) == IMAGE_SIZE]
    table = {row["model"]: row for row in rows}
    report = Report(
        "vision_inference",
        "Vision models on an RTX 3090",
        "f16 autocast inference in channels-last that timm measured. No constant was fitted to f16 rows of a "
        "board with GDDR.",
        {
            "model": "",
            "batch": ",",
            "predicted ms": ",.0f",
            "measured ms": ",.0f",
            "predicted / measured": ".2f",
        },
    )
    errors: list[float] = []
    for name, spec in SPECS.items():
        batch, known_ms = int(table[name]["infer_batch_size"]), float(table[name]["infer_step_time"])
        choices = {"batch": batch, "image_size": IMAGE_SIZE, "autocast": "float16"}
        module = load_program(spec, choices, device="rtx-3090")
        annotate(module, Target(device="rtx-3090"))
        predicted_ms = step_time_us(module) / 1e3
        errors.append(predicted_ms / known_ms - 1)
        report.add(name, batch, predicted_ms, known_ms, predicted_ms / known_ms)
    report.finish(f"{fmean(map(abs, errors)):.1%} mean, bias {fmean(errors):+.1%}")


if __name__ == "__main__":
    main()
