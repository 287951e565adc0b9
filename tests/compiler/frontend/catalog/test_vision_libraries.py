import importlib

import pytest

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.hw.base.errors import CaptureError, UsageError


def _require(library: str) -> None:
    try:
        importlib.import_module(library)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{library} does not load beside this torch: {error}")


def _inputs(program):
    return [tuple(each.spec.shape) for each in program.arguments if each.role == "input"]


@pytest.mark.parametrize(
    ("spec", "choices", "shape"),
    [
        ("timm:resnet18?num_classes=10", {"batch": 2}, (2, 3, 224, 224)),
        ("timm:vit_tiny_patch16_224", {"image_size": 96}, (1, 3, 96, 96)),
        ("torchvision:resnet18", {"image_size": 96}, (1, 3, 96, 96)),
        ("torchvision:r3d_18", {}, (1, 3, 16, 112, 112)),
    ],
)
def test_a_training_step_of_a_named_model(spec, choices, shape):
    _require(spec.partition(":")[0])
    options = CaptureOptions(train=True, **choices)
    assert _inputs(capture(load_spec(spec, options), options)) == [shape]


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_an_unknown_model_gets_its_neighbours(library):
    _require(library)
    with pytest.raises(CaptureError, match="did you mean"):
        load_spec(f"{library}:resnet19", CaptureOptions())


def test_a_library_that_does_not_load_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(importlib.sys.modules, "torchvision", None)
    with pytest.raises(UsageError, match="cannot be built") as error:
        load_spec("torchvision:resnet18", CaptureOptions())
    assert "steelyard[vision]" in str(error.value)
