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
    folder = parser.parse_args().measured / "neusight"
    with (folder / "e2e_models.csv").open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["option"]]
    cases = defaultdict(list)
    for row in rows:
        cases[row["model"], row["mode"], int(row["seq"]), int(row["batch"])].append(row)
    print("| model | mode | batch x tokens | device | predicted | measured | ratio |")
    print("|---|---|---|---|---|---|---|")
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
            print(
                f"| {name} | {mode} | {batch} x {tokens} | {device} | {predicted:,.1f} ms | {known:,.1f} ms "
                f"| {predicted / known:.3f} |",
                flush=True,
            )
    print("\n| device | cases | mean error | bias |\n|---|---|---|---|")
    errors["all"] = [each for found in [*errors.values()] for each in found]
    for device, found in errors.items():
        print(f"| {device} | {len(found)} | {fmean(map(abs, found)):.1%} | {fmean(found):+.1%} |")


if __name__ == "__main__":
    main()
