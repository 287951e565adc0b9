"""The API in a program that torchrun starts (a subprocess with two ranks)."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import torch
import torch.distributed as dist
from torch import nn

import steelyard as sy

dist.init_process_group("gloo")
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def step(model, batch):
    loss = model(batch).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


weighing = sy.annotate(net, inputs=torch.randn(8, 16), train=True, target="h100-sxm")
flops = torch.tensor(weighing.program.totals["work"]["flops"]["contraction"])
dist.all_reduce(flops)
assert int(flops) == 2 * weighing.program.totals["work"]["flops"]["contraction"]
with sy.watch(step, target="cpu") as watched:
    for _ in range(4):
        watched(net, torch.randn(8, 16))
assert watched.result.steps == 2
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_every_rank_weighs_and_one_prints(tmp_path: Path):
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launch, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("A training step takes") == 1
    assert "measured" in done.stdout
