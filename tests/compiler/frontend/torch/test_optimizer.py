import subprocess
import sys
from typing import get_args

import pytest
import torch

from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions, Implementation, OptimizerName
from steelyard.compiler.frontend.torch.capture import record
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.torch_private import FakeTensorMode
from steelyard.compiler.frontend.torch.training_step import training_step
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.base.errors import UsageError
from steelyard.passes.annotate.annotate import annotate
from steelyard.passes.annotate.target import Target
from steelyard.runtime.execute.single_process import bind
from steelyard.runtime.timing.steady_state import measure_peak_bytes

OPTIMIZERS = [name for name in get_args(OptimizerName) if name != "none"]


def build(dtype: torch.dtype = torch.float32) -> BuiltModel:
    layers = [torch.nn.Linear(128, 128, dtype=dtype) for _ in range(4)]
    net = torch.nn.Sequential(*layers)
    return BuiltModel(net, {"input": torch.ones(4, 128, dtype=dtype)}, lambda y: y.abs().sum())


def choose(name: str, implementation: str | None = None) -> CaptureOptions:
    return CaptureOptions(train=True, optimizer=name, optimizer_implementation=implementation)  # type: ignore[arg-type]


@pytest.mark.parametrize("implementation", get_args(Implementation))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_peak_memory_is_that_of_the_implementation(name, implementation):
    if implementation == "fused" and name in ("rmsprop", "adagrad"):
        with pytest.raises(UsageError, match="no fused implementation"):
            choose(name, implementation)
        return
    options = choose(name, implementation)
    with FakeTensorMode():
        program = record(build(), "model", options, is_fake=True)
    assert program.assumptions[0].endswith(f"{implementation} implementation")
    module = import_program(program)
    annotate(module, Target(device="cpu"))

    eager = build()
    optimizer = make_optimizer(eager.module, options)
    for _ in range(2):
        training_step(eager, optimizer, options)
    measured = measure_peak_bytes(
        lambda: training_step(eager, optimizer, options), bind(eager, optimizer).values()
    )
    memory = read_totals(module)["memory"]
    assert memory["peak_bytes"] == pytest.approx(measured, rel=0.02)
    roles = memory["peak_bytes_by_role"]
    assert roles["gradient"] == roles["parameter"]


def test_complex_parameters_take_an_implementation_that_knows_them():
    options = choose("adamw")
    with FakeTensorMode():
        program = record(build(torch.complex64), "model", options, is_fake=True)
    assert program.assumptions == ("the optimizer is AdamW, foreach implementation",)


def test_a_model_that_does_not_train_has_no_optimizer():
    assert make_optimizer(build().module.requires_grad_(False), choose("adamw")) is None


def test_no_optimizer_allocates_on_fake_tensors():
    code = f"""
import resource, torch
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.torch_private import FakeTensorMode
import steelyard.compiler.frontend.torch.capture

def resident_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for name in {OPTIMIZERS!r}:
    for implementation in (None, "foreach", "for-loop"):
        before = resident_kib()
        with FakeTensorMode():
            net = torch.nn.Linear(20_000, 20_000)  # 1.5 GiB
            make_optimizer(net, CaptureOptions(optimizer=name, optimizer_implementation=implementation))
        assert resident_kib() - before < 200_000, (name, implementation)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
