"""Whole models on GPUs beside measured steps of others; nothing was fitted to these."""

import csv
import os
from pathlib import Path
from statistics import fmean

import pytest

from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.program.load import load_program, step_time_us

MEASURED = Path(os.environ["STEELYARD_MEASURED"])
NAMES = {"A100-40-PCIe": "a100-40gb-pcie", "P100": "p100-pcie", "V100": "v100-pcie-32gb", "T4": "t4"}
BERT_LARGE = (
    "hf:bert?hidden_size=1024&num_hidden_layers=24&num_attention_heads=16&intermediate_size=4096"
    "&architectures=BertForSequenceClassification"
)


def test_bert_in_f32_is_within_the_target_on_four_devices() -> None:
    path = MEASURED / "neusight/e2e_models.csv"
    if not path.exists():
        pytest.skip(f"the open measurements are not at {MEASURED}; set STEELYARD_MEASURED")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if (row["model"], row["mode"]) == ("bert_large", "inf")]
    choices = {"batch": 8, "sequence": 512, "attention": "eager"}
    module = load_program(BERT_LARGE, choices)
    errors: list[float] = []
    for row in rows:
        if (row["batch"], row["seq"]) == ("8", "512"):
            annotate(module, Target(device=NAMES[row["device"]]))
            errors.append(step_time_us(module) / 1e3 / float(row["e2e_latency"]) - 1)
    assert len(errors) == 4
    assert fmean(map(abs, errors)) < 0.06
