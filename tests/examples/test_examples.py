"""Every example runs, here with small settings (a subprocess each)."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {
    "own_cnn.py": (["--width", "8", "--batch", "4"], ["Net: train", "yes: fits"]),
    "lora_finetune.py": (["--layers", "1", "--sequence", "16"], ["all weights:", "LoRA:", "optimizer_state"]),
    "gpt_training_loop.py": (
        ["--layers", "1", "--sequence", "16", "--steps", "1"],
        ["backward", "step 0: loss"],
    ),
    "hf_trainer.py": (["--layers", "1", "--steps", "1"], ["GPT2LMHeadModel: train"]),
    "choose_a_gpu.py": (
        ["--model", "hf:gpt2?n_layer=1", "--batch", "1", "--devices", "t4", "h100-sxm"],
        ["t4", "h100-sxm", "fits"],
    ),
}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_example(name):
    if name == "lora_finetune.py":
        pytest.importorskip("peft")
    if name == "hf_trainer.py":
        pytest.importorskip("accelerate")
    arguments, shown = SMALL[name]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in shown), done.stdout
