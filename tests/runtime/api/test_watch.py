"""A watched training step (captured by frontend.torch)."""

import pytest
import torch
from torch import nn

import steelyard as sy


def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 8))
    optimizer = torch.optim.AdamW(net.parameters())

    def step(model, batch):
        loss = model(batch).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return net, step


@pytest.fixture
def training():
    return make()


def test_a_step_is_predicted_then_compared(training, capsys):
    net, step = training
    batch = torch.randn(256, 64)
    with sy.watch(step, target="cpu") as watched:
        losses = [float(watched(net, batch)) for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    shown = capsys.readouterr().out
    assert "A training step takes" in shown
    assert "measured" in shown
    assert watched.result.steps == 2
    assert watched.result.peak_memory_bytes.ratio == pytest.approx(1, abs=0.1)


def test_watching_changes_no_result(training):
    net, step = training
    other, other_step = make()
    watched = sy.watch(target="cpu")(step)
    for _ in range(3):
        batch = torch.randn(16, 64)
        assert torch.equal(watched(net, batch), other_step(other, batch))
    assert all(torch.equal(one, two) for one, two in zip(net.parameters(), other.parameters(), strict=True))


def test_other_ranks_are_silent(training, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    net, step = training
    with sy.watch(step) as watched:
        for _ in range(3):
            watched(net, torch.randn(4, 64))
    assert watched.result is not None
    assert capsys.readouterr().out == ""
