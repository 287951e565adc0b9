"""The options that several verbs share."""

from enum import StrEnum
from typing import Annotated

from typer import Argument, Option

Format = StrEnum("Format", ["table", "json", "csv"])
Attention = StrEnum("Attention", ["sdpa", "eager"])
Optimizer = StrEnum("Optimizer", ["adamw", "sgd", "none"])
Mode = StrEnum("Mode", ["eager", "graph", "compiled"])
By = StrEnum("By", ["module", "op", "phase"])

Spec = Annotated[str, Argument(help="hf:TYPE?key=value, file.py:function, file.pt2 or program.mlir.")]
Train = Annotated[bool, Option("--train", help="A whole training step, not the forward alone.")]
DeviceName = Annotated[str, Option("--device", help="A name of `steelyard devices list`, or a .toml file.")]
Batch = Annotated[int | None, Option(help="Samples in a step; 1 by default.")]
Sequence = Annotated[int | None, Option(help="Tokens in a sample; 128 or the model's limit by default.")]
ImageSize = Annotated[int | None, Option(help="Pixels along a side; the model's own by default.")]
DType = Annotated[str, Option("--dtype", help="Of parameters and inputs.")]
AttentionChoice = Annotated[
    Attention | None, Option("--attention", help="Kernel of attention; the model's own choice by default.")
]
OptimizerChoice = Annotated[Optimizer, Option("--optimizer", help="Of the training step.")]
Autocast = Annotated[str | None, Option(help="The dtype of torch.autocast; none by default.")]
