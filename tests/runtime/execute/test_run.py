"""`steelyard run`: sharded programs on two processes against the model in one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from xdsl.passes import ModulePass

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass
from steelyard.passes.sharding.shard import ShardPass
from steelyard.runtime.program.load import load_program

GPT2 = "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=512"
LLAMA = (
    "hf:llama?num_hidden_layers=2&hidden_size=64&num_attention_heads=4&num_key_value_heads=2"
    "&intermediate_size=128&vocab_size=512"
)
UNEVEN = """
import torch


class Scored(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.LayerNorm(16), torch.nn.Linear(16, 5))

    def forward(self, x, target):
        scores = self.net(x)
        squared = torch.nn.functional.mse_loss(scores, x[:, :5].tanh())
        return torch.nn.functional.cross_entropy(scores, target) + squared + scores.mean()


def make():
    return Scored(), (torch.randn(8, 8), torch.tensor([1, -100, -100, -100, 2, 3, 4, 0]))
"""

LITERALS = """
import torch


class Shifted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(8, 5)

    def forward(self, x, target):
        scores = self.net(x) + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
        return torch.nn.functional.cross_entropy(scores, target)


def make():
    return Shifted(), (torch.randn(8, 8), torch.arange(8) % 5)
"""


def write_plan(
    folder: Path, spec: str, strategy: str = "data", passes: tuple[ModulePass, ...] = (), **choices: object
) -> Path:
    """Capture and shard a model for two ranks into a file."""
    module = load_program(spec, {"train": True, **choices})
    for each in (ShardPass(mesh=2, strategy=strategy), *passes):
        each.apply(make_context(), module)
    plan = folder / "plan.mlir"
    plan.write_text(format_program(module))
    return plan


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verb in a process of its own."""
    command = [sys.executable, "-c", "from steelyard.runtime.cli import main; main()", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Each parameter has a gradient. GPT-2: 12 a block, 2 embeddings, 2 of the last norm; Llama: 9 a block and 3.
@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["data", "tensor"])
@pytest.mark.parametrize(
    ("spec", "gradients"), [(GPT2, 2 * 12 + 4), (LLAMA, 2 * 9 + 3)], ids=["gpt2", "llama"]
)
def test_two_processes_find_the_loss_and_the_gradients_of_one(
    tmp_path: Path, spec: str, gradients: int, strategy: str
) -> None:
    plan = write_plan(tmp_path, spec, strategy, batch=4, sequence=16)
    done = run(str(plan), "--nproc-per-node", "2", "--check", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ranks"] == 2
    assert report["check"]["ok"]
    assert report["check"]["compared"] == 1 + gradients
    assert report["loss"] == pytest.approx(report["check"]["loss"], rel=1e-5)
    time = report["step_time_ms"]
    assert time["measured"] > 0
    assert 0 < time["low"] < time["predicted"] < time["high"]
    assert time["ratio"] == pytest.approx(time["predicted"] / time["measured"])
    assert report["device"] == "cpu"


@pytest.mark.slow
def test_the_time_is_that_of_the_annotations_unless_a_device_is_given(tmp_path: Path) -> None:
    passes = (AnnotateCostPass(), AnnotateLatencyPass(device="h100-sxm"))
    plan = write_plan(tmp_path, GPT2, "tensor", passes, batch=1, sequence=16)
    annotated = run(str(plan), "--nproc-per-node", "2", "--steps", "1")
    assert "predicted for h100-sxm" in annotated.stdout, annotated.stderr
    given = run(str(plan), "--nproc-per-node", "2", "--steps", "1", "--device", "cpu")
    assert "predicted for cpu" in given.stdout, given.stderr


@pytest.mark.slow
def test_literals_of_the_model_are_bound(tmp_path: Path) -> None:
    (tmp_path / "shifted.py").write_text(LITERALS)
    plan = write_plan(tmp_path, f"{tmp_path}/shifted.py:make")
    refused = run(str(plan), "--nproc-per-node", "2", "--check")
    assert refused.returncode == 2
    assert f"the plan runs the Python file {tmp_path}/shifted.py" in refused.stderr
    done = run(str(plan), "--nproc-per-node", "2", "--check", "--allow-code")
    assert done.returncode == 0, done.stderr
    assert "3 results compared: equal" in done.stdout


@pytest.mark.slow
def test_ranks_may_have_unequal_counts_of_targets(tmp_path: Path) -> None:
    (tmp_path / "scored.py").write_text(UNEVEN)
    plan = write_plan(tmp_path, f"{tmp_path}/scored.py:make")
    done = run(str(plan), "--nproc-per-node", "2", "--check", "--allow-code", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["check"]["compared"] == 7


@pytest.mark.slow
def test_the_check_finds_a_gradient_that_is_not_summed(tmp_path: Path) -> None:
    (tmp_path / "scored.py").write_text(UNEVEN)
    plan = write_plan(tmp_path, f"{tmp_path}/scored.py:make")
    before, last, after = plan.read_text().rpartition('reduce_op = "sum"')
    plan.write_text(before + last.replace("sum", "max") + after)
    done = run(str(plan), "--nproc-per-node", "2", "--check", "--allow-code", "--format", "json")
    assert done.returncode == 1, done.stderr
    assert [name for name in json.loads(done.stdout)["check"]["different"] if name.startswith("grad:")]


@pytest.mark.slow
def test_a_rank_that_fails_fails_the_run(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, GPT2, batch=4, sequence=16)
    plan.write_text(plan.read_text().replace("n_embd=64", "n_embd=32"))
    done = run(str(plan), "--nproc-per-node", "2")
    assert done.returncode != 0
    assert "of 2 failed" in done.stderr
    assert "has another shape" in done.stderr
    assert done.stdout == ""


def test_a_program_for_other_ranks_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.mlir"
    plan.write_text("builtin.module attributes {shard.mesh = 4 : i64} {}")
    done = run(str(plan), "--nproc-per-node", "2")
    assert done.returncode == 2
    assert "its mesh has 4 ranks, 2 processes are asked for" in done.stderr
    plan.write_text("builtin.module {}")
    done = run(str(plan), "--nproc-per-node", "2")
    assert done.returncode == 2
    assert "shard{mesh=2}" in done.stderr
