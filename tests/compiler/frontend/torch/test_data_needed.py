"""Steps in which values decide a size or a branch: run on their example inputs, and that is said."""

import os
from pathlib import Path

import pytest
import torch

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.dialects.program import assumptions
from steelyard.compiler.frontend.lower import lower
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.pass_infra.totals import read_totals, unknown_ops
from steelyard.hw.base.errors import CaptureError
from steelyard.passes.annotate.work import annotate_work
from steelyard.runtime.execute.single_process import bind, compile_program, order_arguments

FILE = """
import torch
from torch import nn


class Masked(nn.Linear):
    def forward(self, x):
        return super().forward(x[x[:, 0] > 0])


class Length(nn.Linear):
    def forward(self, x, lengths):
        places = torch.arange(lengths.max())
        return super().forward(x) * (places < lengths[:, None]).float()[..., None]


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.where(chosen == number)[0]
            out[rows] = expert(x[rows])
        return out


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


class Guarded(nn.Linear):
    def forward(self, x):
        if torch.isnan(x).any():
            raise ValueError("not a number")
        return super().forward(x)


def masked():
    x = torch.ones(10, 4)
    x[:3] = -1
    return Masked(4, 5), x


def length():
    return Length(4, 5), (torch.randn(3, 7, 4), torch.tensor([7, 3, 5]))


def experts():
    return Experts(), torch.randn(12, 8)


def packed():
    return Packed(), (torch.randn(3, 7, 4), torch.tensor([7, 3, 5]))


def guarded():
    return Guarded(4, 5), torch.randn(10, 4)
"""

# Rows times 2 times both widths; an expert's share of the rows is one of all, whatever the routing.
CONTRACTIONS = {
    "masked": 7 * 2 * 4 * 5,
    "length": 21 * 2 * 4 * 5,
    "experts": 12 * 2 * 8 * 3 + 12 * 2 * 8 * 8,
    "packed": 15 * 2 * 24 * (4 + 6),
    "guarded": 10 * 2 * 4 * 5,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "models.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", CONTRACTIONS)
@pytest.mark.parametrize("train", [False, True])
def test_values_of_the_example_inputs_decide(name, train, folder):
    options = CaptureOptions(train=train)
    module = lower(load_spec(f"models.py:{name}", options), options)
    annotate_work(Analyses(module))
    assert not unknown_ops(module)
    flops = read_totals(module)["work"]["flops"]["contraction"]
    assert flops == CONTRACTIONS[name] if not train else flops > CONTRACTIONS[name]
    (said,) = (each for each in assumptions(module) if "depends on data" in each)
    assert "models.py:" in said
    assert "example inputs" in said


@pytest.mark.parametrize("name", ["masked", "experts", "packed"])
def test_the_program_runs_as_the_model_does(name, folder):
    options = CaptureOptions()
    model = load_spec(f"models.py:{name}", options)
    program = capture(model, options)
    module = import_program(program)
    built = model.build(fake=False)
    result, *_ = compile_program(module)(*order_arguments(module, bind(built, None, program.constants)))
    with torch.no_grad():
        assert torch.equal(result, built.run())


def test_a_model_that_is_too_large_to_run_is_refused_with_the_line(folder, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 16)
    options = CaptureOptions()
    with pytest.raises(CaptureError) as caught:
        capture(load_spec("models.py:masked", options), options)
    assert "models.py:8" in caught.value.where
    assert "256 B are free" in caught.value.why


def test_no_data_no_assumption(folder):
    options = CaptureOptions()
    model = load_spec("hf:gpt2?n_layer=1&n_embd=8&n_head=1&vocab_size=9", options)
    assert not any("data" in each for each in assumptions(lower(model, options)))
