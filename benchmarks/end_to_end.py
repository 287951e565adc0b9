"""fp32 transformers end to end: predicted steps beside NeuSight's measurements on four GPUs.

python benchmarks/end_to_end.py ../shared/measured
"""

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from measured import DEVICES
from report import Report, arguments

from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.program.load import load_program, step_time_us

# What a model type's configuration calls its sizes.
SIZES = {
    "gpt2": ("n_embd", "n_head", "n_layer", "n_positions", "vocab_size"),
    "bert": ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"),
    "opt": ("hidden_size", "num_hidden_layers", "num_attention_heads", "ffn_dim", "word_embed_proj_dim"),
}

# What the rows of single ops show to have run, whatever the configuration says.
HEADS = {"bert": "BertForSequenceClassification"}


def spec_of(config: dict[str, Any]) -> str:
    """Return the SPEC of a transformers configuration."""
    kind = config["model_type"]
    sizes = [f"{name}={config[name]}" for name in SIZES[kind] if name in config]
    head = [f"architectures={HEADS[kind]}"] if kind in HEADS else []
    return f"hf:{kind}?" + "&".join([*sizes, *head])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    folder = parser.parse_args(arguments()).measured / "neusight"
    with (folder / "e2e_models.csv").open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["option"]]
    cases = defaultdict(list)
    for row in rows:
        cases[row["model"], row["mode"], int(row["seq"]), int(row["batch"])].append(row)
    report = Report(
        "transformers",
        "Transformers",
        "Inferences of BERT, GPT-2, GPT-3 and OPT in f32 with eager attention that NeuSight's authors "
        "measured, through the same capture and passes as `annotate`. Nothing was fitted to whole models.",
        {
            "model": "",
            "mode": "",
            "batch x tokens": "",
            "device": "",
            "predicted ms": ",.1f",
            "measured ms": ",.1f",
            "predicted / measured": ".3f",
        },
    )
    errors = defaultdict(list)
    for (name, mode, tokens, batch), measured in cases.items():
        config = json.loads((folder / f"model_configs/{name}.json").read_text())
        if config["model_type"] not in SIZES:
            continue
        choices = {"train": mode == "train", "batch": batch, "sequence": tokens}
        module = load_program(spec_of(config), {**choices, "attention": "eager", "optimizer": "none"})
        for row in measured:
            device = DEVICES[row["device"]]
            annotate(module, Target(device=device))
            predicted, known = step_time_us(module) / 1e3, float(row["e2e_latency"])
            errors[device].append(predicted / known - 1)
            report.add(name, mode, f"{batch} x {tokens}", device, predicted, known, predicted / known)
    devices = ", ".join(f"{device} {fmean(map(abs, found)):.1%}" for device, found in errors.items())
    every = [each for found in errors.values() for each in found]
    report.finish(
        f"{fmean(map(abs, every)):.1%} mean ({devices}), bias {fmean(every):+.1%}",
        "6% mean (NeuSight 8.9%, roofline 31.4%)",
    )


if __name__ == "__main__":
    main()
