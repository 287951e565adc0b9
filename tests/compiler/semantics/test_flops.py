"""FLOPs: hand arithmetic, and torch's own counter wherever that is right."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch.utils.flop_counter import flop_registry

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


def known(call: OpCall) -> OpWork:
    work = work_of(call)
    assert work is not None
    return work


def convolve(**kwargs: Any) -> Callable[[], torch.Tensor]:
    transposed = kwargs.pop("transposed", False)
    groups = kwargs.get("groups", 1)
    x = torch.randn(2, 8, 9, 9, requires_grad=True)
    weight = torch.randn(
        8 if transposed else 12, (12 if transposed else 8) // groups, 3, 3, requires_grad=True
    )
    conv = F.conv_transpose2d if transposed else F.conv2d
    return lambda: conv(x, weight, torch.randn(12, requires_grad=True), **kwargs)


def a(*shape: int) -> torch.Tensor:
    return torch.randn(shape, requires_grad=True)


@pytest.mark.parametrize(
    "run",
    [
        lambda: a(4, 8) @ a(8, 5),
        lambda: torch.bmm(a(3, 4, 8), a(3, 8, 5)),
        lambda: torch.addmm(a(5), a(4, 8), a(8, 5)),
        lambda: torch.baddbmm(a(3, 4, 5), a(3, 4, 8), a(3, 8, 5)),
        lambda: F.conv1d(a(2, 8, 9), a(12, 8, 3), stride=2),
        lambda: F.conv3d(a(2, 4, 5, 5, 5), a(6, 4, 3, 3, 3)),
        convolve(stride=2, padding=1),
        convolve(dilation=2),
        convolve(stride=2, padding=1, transposed=True),
    ],
)
def test_contractions_agree_with_the_counter_of_torch(run: Callable[[], Any], record: Callable[[], Any]):
    with record() as recorder:
        run().sum().backward()
    compared = 0
    for call, func, args, kwargs, out in recorder.flops:
        counter = flop_registry.get(func.overloadpacket)
        if counter is None:
            continue
        assert known(call).flops.contraction == counter(*args, **kwargs, out_val=out), call.name
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize("kernel", ["flash", "efficient", "cudnn"])
@pytest.mark.parametrize("backward", [False, True])
def test_attention_agrees_with_the_counter_of_torch(kernel: str, backward: bool):
    name = f"_scaled_dot_product_{kernel}_attention" + "_backward" * backward
    q, k, v = (2, 4, 16, 8), (2, 4, 32, 8), (2, 4, 32, 8)
    shapes = {"grad_out": q} if backward else {}
    shapes |= {"query": q, "key": k, "value": v}
    call = OpCall(
        f"aten.{name}",
        tuple((each, f32(*shape)) for each, shape in shapes.items()),
        {"is_causal": True},
        (f32(*q), f32(*k), f32(*v)) if backward else (f32(*q), f32(2, 4, 16)),
    )
    tensors = [torch.empty(shape, device="meta") for shape in shapes.values()]
    outs = [torch.empty(each.shape, device="meta") for each in call.results]
    counter = flop_registry[getattr(torch.ops.aten, name)]
    assert known(call).flops.contraction == counter(*tensors, out_val=outs)


def test_attention_on_cpu_is_counted_with_shared_heads(record: Callable[[], Any]):
    q, k = torch.randn(2, 8, 16, 32, requires_grad=True), torch.randn(2, 2, 16, 32, requires_grad=True)
    with record() as recorder:
        F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True).sum().backward()
    one = 2 * 2 * 8 * 16 * 16 * 32
    counts = {call.name: known(call).flops.contraction for call in recorder.calls if "attention" in call.name}
    forward = "aten._scaled_dot_product_flash_attention_for_cpu"
    assert counts == {forward: 2 * one, f"{forward}_backward": 5 * one}


@pytest.mark.parametrize("mask", [(True, True, True), (False, True, False), (True, False, False)])
def test_gradients_of_a_grouped_convolution_cost_what_is_asked_for(mask: tuple[bool, bool, bool]):
    # torch's counter forgets to divide the gradient of the weight by the groups.
    grad, source, weight = f32(8, 32, 14, 14), f32(8, 32, 14, 14), f32(32, 1, 3, 3)
    results = tuple(each for each, wanted in zip((source, weight, f32(32)), mask, strict=True) if wanted)
    call = OpCall(
        "aten.convolution_backward",
        (("grad_output", grad), ("input", source), ("weight", weight)),
        {"groups": 32, "transposed": False, "output_mask": mask},
        results,
    )
    work = known(call)
    assert work.flops.contraction == (mask[0] + mask[1]) * 2 * 8 * 32 * 14 * 14 * 9
    assert work.kind == "depthwise_convolution"
    assert work.bytes_written == sum(each.bytes for each in results)


def test_mobilenet_v2_forward_and_backward_is_14_26_gflop(record: Callable[[], Any]):
    import transformers

    with torch.device("meta"):
        model = transformers.AutoModelForImageClassification.from_config(
            transformers.MobileNetV2Config(num_labels=1000)
        )
        images = torch.empty(8, 3, 224, 224)
    with record() as recorder:
        model.train()(images).logits.sum().backward()
    total = sum(known(call).flops.contraction for call in recorder.calls)
    assert round(total / 1e9, 2) == 14.26


@pytest.mark.parametrize(
    ("left", "right", "result", "macs"),
    [
        ((32, 8), (4, 8, 16), (32, 16), 32 * 8 * 16),
        ((8, 32), (32, 16), (4, 8, 16), 8 * 32 * 16),
        ((4, 8, 16), (16, 32), (8, 32), 8 * 16 * 32),
        ((4, 8, 16), (4, 16, 5), (4, 8, 5), 4 * 8 * 16 * 5),
    ],
)
def test_grouped_products_cost_one_matrix_for_each_row(
    left: tuple[int, ...], right: tuple[int, ...], result: tuple[int, ...], macs: int
):
    offsets = TensorType((4,), "i32")
    operands = (("self", f32(*left)), ("mat2", f32(*right)), ("offs", offsets))
    work = known(OpCall("aten._grouped_mm", operands, {}, (f32(*result),)))
    assert work.flops.contraction == 2 * macs
    assert work.bytes_unique == sum(each.bytes for each in (f32(*left), f32(*right), offsets, f32(*result)))
