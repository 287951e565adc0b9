"""Layouts of captured models (frontend.torch)."""

from typing import Any

import pytest
import torch
from torch import nn

import steelyard as sy
from steelyard.compiler.dialects.program import CHANNELS_LAST
from steelyard.compiler.frontend.channels_last import ChannelsLast
from steelyard.compiler.frontend.live_model import LiveModel

RESNET = "hf:resnet?depths=[1,1,1,1]&hidden_sizes=[8,8,8,8]&embedding_size=8"


def test_images_and_weights_have_the_layout_and_vectors_their_own() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    model = LiveModel(module=module, inputs=torch.zeros(2, 3, 8, 8), train=False, micro_steps=1)
    with model.lent():
        built = ChannelsLast(model).build(fake=False)
        (image,) = built.inputs.values()
        assert image.stride() == (3 * 8 * 8, 1, 3 * 8, 3)
        assert built.module.get_parameter("0.weight").stride() == (27, 1, 9, 3)
        assert built.module.get_parameter("1.weight").stride() == (1,)


def test_the_program_knows_and_is_faster_on_tensor_cores() -> None:
    target = sy.Target(device="v100-sxm2-16gb", context="graph")
    options: dict[str, Any] = {"target": target, "batch": 64, "dtype": "float16"}
    first, last = sy.annotate(RESNET, **options), sy.annotate(RESNET, channels_last=True, **options)
    marked = [
        sum(CHANNELS_LAST in op.attributes for op in each.program.module.walk()) for each in (first, last)
    ]
    assert marked[0] == 0 < marked[1]
    kernels_us = [each.summary.latency_us[0] for each in (first, last)]
    assert kernels_us == sorted(kernels_us, reverse=True)


def test_a_model_without_images_refuses_it() -> None:
    with pytest.raises(sy.SteelyardError, match="--channels-last has no effect"):
        sy.annotate("hf:gpt2?n_layer=1", channels_last=True)
