"""The options that several verbs share."""

from typing import Annotated, Literal

from typer import Argument, Option

Spec = Annotated[str, Argument(help="hf:TYPE?key=value, file.py:function, file.pt2 or program.mlir.")]
Train = Annotated[bool, Option("--train", help="A whole training step, not the forward alone.")]
Device = Annotated[str, Option(help="A name of `steelyard devices list`, or a .toml file.")]
Batch = Annotated[int | None, Option(help="Samples in a step; 1 by default.")]
Sequence = Annotated[int | None, Option(help="Tokens in a sample; 128 or the model's limit by default.")]
ImageSize = Annotated[int | None, Option(help="Pixels along a side; the model's own by default.")]
DType = Annotated[str, Option(help="Of parameters and inputs.")]
Attention = Annotated[
    Literal["sdpa", "eager"] | None, Option(help="Kernel of attention; the model's own choice by default.")
]
Optimizer = Annotated[Literal["adamw", "sgd", "none"], Option(help="Of the training step.")]
Autocast = Annotated[str | None, Option(help="The dtype of torch.autocast; none by default.")]
