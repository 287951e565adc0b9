"""Models of timm and torchvision by name, with random weights; nothing is downloaded."""

# pyright: standard

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils._pytree import tree_leaves

from steelyard.compiler.frontend.torch.fake_module import make_fake
from steelyard.compiler.frontend.torch.torch_private import unset_fake_temporarily
from steelyard.hw.base.errors import CaptureError, UsageError, did_you_mean

Make = Callable[..., tuple[Any, ...]]


def vision_model(library: str, name: str, arguments: dict[str, Any]) -> Make:
    """Return a function of `batch` and `image_size` that makes a model, its inputs and, mostly, its loss.

    Args:
        library: `timm` or `torchvision`.
        name: A model of the library.
        arguments: Passed to the model's constructor.

    Raises:
        UsageError: The library cannot be imported.
        CaptureError: It has no such model.
    """
    try:
        names, make = _LIBRARIES[library](name, arguments)
    except (ImportError, RuntimeError) as error:  # the latter where torchvision was built for another torch
        raise UsageError(
            what=f"the model '{library}:{name}' cannot be built",
            why=f"{library} cannot be imported: {error}",
            fix="install it for this torch with: pip install 'steelyard[vision]'",
        ) from error
    if name not in names:
        raise CaptureError(what=f"{library} has no model {name!r}", fix=did_you_mean(name, names))
    return make


def _timm(name: str, arguments: dict[str, Any]) -> tuple[list[str], Make]:
    import timm  # pyright: ignore[reportMissingImports]

    def make(batch: int = 1, image_size: int | None = None) -> tuple[Any, ...]:
        published = timm.get_pretrained_cfg(name)
        channels, *size = published.input_size if published else (3, 224, 224)
        given = dict(arguments)
        if image_size and published and published.fixed_input_size:
            given["img_size"] = image_size
        model = _build(timm.create_model, name, **given)
        side = image_size or arguments.get("img_size")
        extents = (side, side) if side else size
        return model, torch.randn(batch, arguments.get("in_chans", channels), *extents), _loss_of_classes

    return timm.list_models(), make


def _torchvision(name: str, arguments: dict[str, Any]) -> tuple[list[str], Make]:
    from torchvision import models  # pyright: ignore[reportMissingImports]

    def make(batch: int = 1, image_size: int | None = None) -> tuple[Any, ...]:
        task = models.get_model_builder(name).__module__.split(".")[2]
        backbone = {"weights_backbone": None} if task in ("detection", "segmentation") else {}
        model = _build(models.get_model, name, weights=None, **backbone, **arguments)
        published = models.get_model_weights(name).DEFAULT.transforms()
        sides = getattr(published, "crop_size", None) or getattr(published, "resize_size", None) or [800]
        side = image_size or arguments.get("image_size") or sides[0]
        if task == "detection":
            return model, ([torch.rand(3, side, side) for _ in range(batch)],)
        if task == "optical_flow":
            return model, (torch.randn(batch, 3, side, side), torch.randn(batch, 3, side, side))
        frames = (16,) if task == "video" else ()
        return model, torch.randn(batch, 3, *frames, side, side), _loss_of_classes

    return models.list_models(), make


def _build(create: Callable[..., torch.nn.Module], name: str, **arguments: Any) -> torch.nn.Module:
    """Build a model, on the meta device in a capture: constructors read small tensors of the CPU."""
    with unset_fake_temporarily() as fake, torch.device("meta" if fake else "cpu"):
        model = create(name, **arguments)
    if fake:
        make_fake(model)
    return model


def _loss_of_classes(outputs: Any) -> torch.Tensor:
    """Cross entropy of the scores, with those of auxiliary heads; all labels are the first class."""
    losses = [
        cross_entropy(scores, scores.new_zeros(scores.shape[:1] + scores.shape[2:], dtype=torch.long))
        for scores in tree_leaves(outputs)
    ]
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0]


_LIBRARIES = {"timm": _timm, "torchvision": _torchvision}
