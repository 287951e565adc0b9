"""Options of a capture."""

# pyright: standard

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.tables.dtype_spelling import parse_dtype as parse_spelling

if TYPE_CHECKING:
    import torch

OptimizerName = Literal["adamw", "adam", "sgd", "rmsprop", "adagrad", "none"]
Implementation = Literal["fused", "foreach", "for-loop"]

_FUSED = ("adamw", "adam", "sgd")
_TORCH_NAMES: dict[DType, str] = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "f64": "float64"}


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """Options of a capture: mode, shapes, dtype, attention, optimizer.

    Attributes:
        train: Capture forward, loss, backward and optimizer instead of the forward alone. Modules are then in
            training mode, so batch norms use and update their statistics.
        batch: Samples per step; 1 by default.
        sequence: Tokens per sample; by default 128 or the model's limit.
        image_size: Height and width in pixels; by default the model's own, or 224.
        dtype: Of parameters and inputs, in any spelling: `bfloat16`, `bf16`; kept in torch's.
        attention: `sdpa` or `eager`; by default the model's own choice.
        optimizer: `adamw`, `adam`, `sgd` (with momentum), `rmsprop`, `adagrad` or `none`.
        optimizer_implementation: `fused`, `foreach` or `for-loop`, as torch.optim names them; by default
            fused, or foreach where no GPU has fused kernels. torch.optim takes foreach on a GPU unless told
            otherwise; it needs memory for intermediate results of all parameters at once.
        autocast: The dtype of `torch.autocast` around forward and loss; none by default.
        dropout: Keep the model's dropout. It is off by default, also in training, so that a step depends on
            its inputs alone and can be compared bit by bit.
        channels_last: Give weights and inputs of four dims the layout `torch.channels_last`.
        cuda: Record the kernels of CUDA where torch composes on a CPU what a GPU has a kernel for.
        return_grads: Return the gradients after the loss, in the order of the parameters.
    """

    train: bool = False
    batch: int | None = None
    sequence: int | None = None
    image_size: int | None = None
    dtype: str = "float32"
    attention: str | None = None
    optimizer: OptimizerName = "adamw"
    optimizer_implementation: Implementation | None = None
    autocast: str | None = None
    dropout: bool = False
    channels_last: bool = False
    cuda: bool = False
    return_grads: bool = False

    def __post_init__(self) -> None:
        for name in ("batch", "sequence", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(what=f"{name} is {value}", why="it must be at least 1")
        object.__setattr__(self, "dtype", torch_name(self.dtype))
        object.__setattr__(self, "autocast", torch_name(self.autocast) if self.autocast else None)
        _require_one_of("optimizer", self.optimizer, get_args(OptimizerName))
        _require_one_of("optimizer implementation", self.implementation, get_args(Implementation))
        if self.implementation == "fused" and self.optimizer not in _FUSED:
            raise UsageError(
                what=f"{self.optimizer} has no fused implementation on a GPU",
                fix=f"choose foreach or for-loop, or one of {', '.join(_FUSED)}",
            )
        if self.optimizer == "none" and self.optimizer_implementation:
            raise UsageError(what="an optimizer implementation is given, and no optimizer")
        if self.autocast not in (None, "bfloat16", "float16"):
            raise UsageError(
                what=f"autocast to {self.autocast} has no effect",
                why="torch.autocast runs ops in bfloat16 or float16",
                fix="leave it out",
            )

    @property
    def implementation(self) -> Implementation:
        """The implementation of the optimizer: the chosen one, or the default of this optimizer."""
        return self.optimizer_implementation or ("fused" if self.optimizer in _FUSED else "foreach")


def _require_one_of(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UsageError(what=f"unknown {what} {name!r}", fix=did_you_mean(name, known))


def no_effect(name: str, spec: str, why: str, fix: str | None = None) -> UsageError:
    """Make the error of an option that a SPEC does not heed.

    Args:
        name: Of the option, as an attribute.
        spec: The SPEC.
        why: What the SPEC does instead.
        fix: What to do; without it, to leave the option out.
    """
    flag = f"--{name.replace('_', '-')}"
    return UsageError(what=f"{flag} has no effect on {spec}", why=why, fix=fix or f"leave {flag} out")


def torch_name(dtype: str) -> str:
    """Return torch's name of a floating-point dtype: `bfloat16` for `bf16`.

    Raises:
        UsageError: There is none.
    """
    found = parse_spelling(dtype)
    if found not in _TORCH_NAMES:
        raise UsageError(
            what=f"a model cannot have the dtype {dtype!r}",
            why="weights and activations are floating-point numbers of at least 16 bits",
            fix=f"choose one of: {', '.join(_TORCH_NAMES.values())}",
        )
    return _TORCH_NAMES[found]


def parse_dtype(name: str) -> "torch.dtype":
    """Return the floating-point dtype of that name.

    Raises:
        UsageError: There is none.
    """
    import torch  # options are checked before torch is loaded

    return getattr(torch, torch_name(name))
