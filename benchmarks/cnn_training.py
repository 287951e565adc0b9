"""f32 training steps of VGG and ResNet on T4 and V100: predicted beside PROFET's measurements, by kind of op.

    python benchmarks/cnn_training.py ../shared/measured

They were measured in TensorFlow 2.5 on g4dn.xlarge and p3.2xlarge. The profile is of two steps; what the
device idled in it, which is the input pipeline's doing, is taken off the step's time. A bias in VGG is added
by the convolution there and by a kernel of its own here.
"""

# pyright: standard

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median
from typing import cast

from convolutional_nets import RESNET, VGG, make
from report import Report, arguments

from steelyard.compiler.dialects.cost import LATENCY, LatencyAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.frontend.file_model import FileModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.context import make_context
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.annotate.annotate_latency import AnnotateLatencyPass

DEVICES = {"p3.2xlarge": "v100-sxm2-16gb", "g4dn.xlarge": "t4"}
SIZES = ((224, 64), (128, 64), (64, 256), (224, 16))
STEPS_OF_A_PROFILE = 2

# The ops of TensorFlow and of PyTorch that do the same.
KINDS = {
    "convolution": (("Conv2D", "_FusedConv2D", "BiasAdd"), ("aten.convolution",)),
    "its gradients": (
        ("Conv2DBackpropInput", "Conv2DBackpropFilter", "BiasAddGrad"),
        ("aten.convolution_backward",),
    ),
    "batch norm": (("FusedBatchNormV3",), ("aten.native_batch_norm",)),
    "its gradient": (("FusedBatchNormGradV3",), ("aten.native_batch_norm_backward",)),
    "relu": (("Relu",), ("aten.relu",)),
    "gradient of relu": (("ReluGrad",), ("aten.threshold_backward",)),
    "add": (("AddV2", "AddN"), ("aten.add.Tensor", "aten.add_.Tensor")),
    "pooling": (
        ("MaxPool", "MaxPoolGrad"),
        ("aten.max_pool2d_with_indices", "aten.max_pool2d_with_indices_backward"),
    ),
    "linear": (("MatMul",), ("aten.mm", "aten.addmm")),
}


def measured(rows: list[dict[str, str]]) -> dict[str, float]:
    """Return milliseconds of a step by kind of op, and of all of it that the device works."""

    def of(op: str) -> float:
        known = [float(row[f"Device_{op}"]) for row in rows if row[f"Device_{op}"]]
        return median(known) / 1e3 / STEPS_OF_A_PROFILE if known else 0.0

    kinds = {kind: sum(map(of, ops)) for kind, (ops, _) in KINDS.items()}
    return {**kinds, "step": median(float(row["step_s"]) for row in rows) * 1e3 - of("IDLE")}


def predicted(name: str, image_size: int, batch: int) -> dict[str, dict[str, float]]:
    """Return the same as `measured` says, by device."""
    options = CaptureOptions(train=True, optimizer="sgd")
    module = import_program(
        capture(FileModel(name, make(name, image_size, batch), options), options), options
    )
    AnnotateCostPass().apply(make_context(), module)
    found: dict[str, dict[str, float]] = {}
    for device in DEVICES.values():
        AnnotateLatencyPass(device=device).apply(make_context(), module)
        times = defaultdict[str, float](float)
        for op in module.walk():
            if isinstance(op, TorchOp) and LATENCY in op.attributes:
                kinds = [kind for kind, (_, ops) in KINDS.items() if op.name in ops]
                for kind in (*kinds, "step"):
                    times[kind] += cast(LatencyAttr, op.attributes[LATENCY]).data.value_us / 1e3
        found[device] = times
    return found


def main() -> None:
    path = Path(arguments()[0]) / "profet/op_type_device_us.csv"
    with path.open(newline="", encoding="utf-8-sig") as stream:
        table = list(csv.DictReader(stream))
    ratios = defaultdict[tuple[str, str], list[float]](list)
    for name in (*VGG, *RESNET):
        for image_size, batch in SIZES:
            times = predicted(name, image_size, batch)
            for instance, device in DEVICES.items():
                key = (instance, name, str(image_size), str(batch))
                columns = ("instance_name", "model", "image_px", "batchsize")
                rows = [row for row in table if tuple(row[column] for column in columns) == key]
                for kind, known_ms in measured(rows).items() if rows else ():
                    # What takes a hundredth of a step says nothing of it.
                    if known_ms > 0.3 and times[device][kind]:
                        ratios[device, kind].append(times[device][kind] / known_ms)
    report = Report(
        "cnn_training",
        "Training steps of convolutional nets",
        "f32 steps of VGG-11 to 19 and ResNet-18 to 50 in TensorFlow 2.5 that PROFET measured, as a whole "
        "and by kind of op; the time that the device idled is taken off.",
        {"device": "", "kind of op": "", "cases": ",", "mean error": ".1%", "bias": "+.1%"},
    )
    steps = dict[str, float]()
    for device in DEVICES.values():
        for kind in (*KINDS, "step"):
            errors = [ratio - 1 for ratio in ratios[device, kind]]
            mean, bias = fmean(map(abs, errors)), fmean(errors)
            report.add(device, kind, len(errors), mean, bias)
        steps[device] = mean
    report.finish(", ".join(f"{mean:.1%} mean on {device}" for device, mean in steps.items()))


if __name__ == "__main__":
    main()
