"""Activation and state memory of Megatron's GPT models, beside the figures of arXiv 2205.05198.

python benchmarks/megatron_memory.py ../shared/measured

A layer as one tensor-parallel rank has it is captured, with dropout on, and what its forward keeps for its
backward is read from its storages. The first stage of a pipeline keeps the activations of p micro-batches, so
those of all L layers; interleaving adds a share (p - 1) / (p v) (Narayanan et al. 2021, section 2.2).
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from report import Report, arguments
from torch import nn
from torch.utils.checkpoint import checkpoint

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.storages import find_storages
from steelyard.compiler.frontend.file_model import FileModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program

RANKS = 8
GIB = 2**30
STATE_BYTES = 18
"""Of a parameter: itself and its gradient (2 + 4), and master copy and two moments in f32 (12)."""


@dataclass(frozen=True, slots=True)
class Model:
    """A row of table 3 of the paper."""

    hidden: int
    heads: int
    layers: int
    pipeline: int
    interleaved: int
    batch: int
    sequence: int = 2048
    vocabulary: int = 51200


MODELS = {
    "22B": Model(6144, 64, 48, 1, 1, 4),
    "175B": Model(12288, 96, 96, 8, 3, 1),
    "530B": Model(20480, 128, 105, 35, 3, 1),
    "1T": Model(25600, 160, 128, 64, 1, 1),
}
MODES = {
    "none": {},
    "seq": {"sequence_parallel": True},
    "selective": {"recompute": "attention"},
    "seq+selective": {"sequence_parallel": True, "recompute": "attention"},
    "full": {"recompute": "layer"},
}


def dropout(x: torch.Tensor, probability: float) -> torch.Tensor:
    """Dropout as it runs on CUDA, whose kernel keeps a mask of bytes; on CPUs it is one of halves."""
    return torch.native_dropout(x, probability, True)[0]


class GatheredLinear(torch.autograd.Function):
    """A column-parallel product that keeps its part of the sequence and gathers it again in the backward."""

    @staticmethod
    def forward(ctx: Any, part: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(part, weight)
        return part.repeat(RANKS, 1, 1) @ weight.t()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        part, weight = ctx.saved_tensors
        [gradient] = gradients
        whole = part.repeat(RANKS, 1, 1)
        return (gradient @ weight)[: part.shape[0]], gradient.flatten(0, 1).t() @ whole.flatten(0, 1)


class Layer(nn.Module):
    """A transformer layer, [sequence, batch, hidden], the part of one of `RANKS` tensor-parallel ranks."""

    def __init__(self, model: Model, sequence_parallel: bool = False, recompute: str = "") -> None:
        super().__init__()
        hidden, part = model.hidden, model.hidden // RANKS
        self.heads, self.sequence_parallel, self.recompute = (
            model.heads // RANKS,
            sequence_parallel,
            recompute,
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.qkv = nn.Linear(hidden, 3 * part)
        self.out = nn.Linear(part, hidden, bias=False)
        self.up, self.down = nn.Linear(hidden, 4 * part), nn.Linear(4 * part, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.recompute == "layer":
            return checkpoint(self.layer, x, use_reentrant=False)
        return self.layer(x)

    def layer(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.column(self.norms[0](x), self.qkv)
        if self.recompute == "attention":
            mixed = checkpoint(self.attention, *qkv.chunk(3, -1), use_reentrant=False)
        else:
            mixed = self.attention(*qkv.chunk(3, -1))
        x = x + dropout(self.row(mixed, self.out, x), 0.1)
        inner = nn.functional.gelu(self.column(self.norms[1](x), self.up))
        return x + dropout(self.row(inner, self.down, x), 0.1)

    def column(self, x: torch.Tensor, linear: nn.Linear) -> torch.Tensor:
        if not self.sequence_parallel:
            return linear(x)
        return GatheredLinear.apply(x, linear.weight) + linear.bias

    def row(self, x: torch.Tensor, linear: nn.Linear, like: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks, of which each keeps a part of the sequence if that is parallel too."""
        return linear(x)[: like.shape[0]].clone() if self.sequence_parallel else linear(x)

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        length, batch, part = q.shape
        q, k, v = (t.reshape(length, batch * self.heads, -1).transpose(0, 1) for t in (q, k, v))
        scores = torch.baddbmm(torch.zeros(1, dtype=q.dtype), q, k.transpose(1, 2), beta=0, alpha=0.1)
        weights = dropout(scores.softmax(-1), 0.1)
        return (weights @ v).transpose(0, 1).reshape(length, batch, part)


def kept_bytes(model: Model, layers: int, **mode: Any) -> int:
    """Return what the forward of some layers keeps for the backward, their input included."""
    length = model.sequence // (RANKS if mode.get("sequence_parallel") else 1)

    def make() -> tuple[nn.Module, torch.Tensor]:
        module = nn.Sequential(*(Layer(model, **mode) for _ in range(layers))).half()
        return module, torch.randn(length, model.batch, model.hidden, dtype=torch.float16)

    options = CaptureOptions(train=True, optimizer="none", dropout=True)
    program = import_program(capture(FileModel("megatron", make, options), options))
    graph = call_graph(program)
    storages = find_storages(graph)[graph.entry.sym_name.data].storages
    return sum(each.bytes for each in storages if each.phase in ("forward", "loss") and each.in_backward)


def activations_gib(model: Model, **mode: Any) -> float:
    """Return the activations that the first stage of the pipeline keeps on each device."""
    a_layer = kept_bytes(model, 3, **mode) - kept_bytes(model, 2, **mode)
    interleaving = 1 + (model.pipeline - 1) / (model.pipeline * model.interleaved) * (model.interleaved > 1)
    return a_layer * model.layers * interleaving / GIB


def states_gib(model: Model) -> float:
    """Return parameters, gradients and optimizer state on each device, the layers shared out evenly."""
    with torch.device("meta"):
        a_layer = sum(parameter.numel() for parameter in Layer(model).parameters())
    embedding = (model.vocabulary / RANKS + model.sequence) * model.hidden
    return (a_layer * model.layers + embedding) / model.pipeline * STATE_BYTES / GIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("measured", type=Path, help="the folder of the sources")
    path = parser.parse_args(arguments()).measured / "papers/megatron_2205.05198_fig1_fig7_memory.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    report = Report(
        "megatron_memory",
        "Activations of Megatron's models",
        "One layer as one of eight tensor-parallel ranks has it, in five modes of recomputation, and the "
        "state of the whole, beside the figures of arXiv 2205.05198.",
        {
            "model": "",
            "quantity": "",
            "mode": "",
            "predicted": ".2f",
            "published": ".2f",
            "predicted / published": ".3f",
        },
    )
    known: dict[tuple[str, str], float] = {}
    errors: list[float] = []
    for row in rows:
        model = MODELS[row["model"]]
        mode = {"baseline none": "none", "SP+selective": "seq+selective"}.get(row["mode"], row["mode"])
        for each in (mode, "none"):
            if each in MODES and (row["model"], each) not in known:
                known[row["model"], each] = activations_gib(model, **MODES[each])
        if row["quantity"].startswith("params"):
            predicted = states_gib(model)
        else:
            predicted = known[row["model"], mode]
            if row["quantity"].startswith("activation %"):
                predicted *= 100 / known[row["model"], "none"]
        published = float(row["value"])
        errors.append(abs(predicted / published - 1))
        report.add(row["model"], row["quantity"], row["mode"], predicted, published, predicted / published)
    report.finish(f"{fmean(errors):.1%} mean, {max(errors):.1%} worst of {len(errors)} values", "within 3%")


if __name__ == "__main__":
    main()
