"""The API on live modules; this file captures models (frontend.torch)."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import steelyard as sy


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 4))


def state(module):
    return {name: (id(tensor), tensor.clone()) for name, tensor in module.state_dict(keep_vars=True).items()}


def unchanged(module, before):
    now = module.state_dict(keep_vars=True)
    return all(
        id(now[name]) == known and torch.equal(now[name], value) for name, (known, value) in before.items()
    )


def matmul_flops(batch):
    return 2 * batch * (16 * 32 + 32 * 4)


def contraction(weighing):
    return weighing.program.totals["work"]["flops"]["contraction"]


def test_a_live_module_is_weighed_and_left_as_it_is(net):
    before, training = state(net), net.training
    weighing = sy.annotate(net, inputs=torch.randn(8, 16), target="h100-sxm")
    assert contraction(weighing) == matmul_flops(8)
    assert unchanged(net, before)
    assert net.training == training
    assert not isinstance(net[0].weight, torch._subclasses.FakeTensor)
    net(torch.randn(8, 16))


def test_a_module_without_memory_is_weighed_alike(net):
    with torch.device("meta"):
        other = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.BatchNorm1d(32), nn.Linear(32, 4))
    one, two = (
        sy.annotate(module, inputs=torch.empty(8, 16, device=device), train=True, target="h100-sxm").to_dict()
        for module, device in ((net, "cpu"), (other, "meta"))
    )
    one.pop("seconds"), two.pop("seconds")
    assert one == two


@pytest.mark.parametrize(("target", "implementation"), [("h100-sxm", "foreach"), ("cpu", "for-loop")])
def test_an_optimizer_without_a_choice_is_what_torch_takes_on_the_device(net, target, implementation):
    optimizer = torch.optim.AdamW(net.parameters())
    weighing = sy.annotate(
        net, inputs=torch.randn(8, 16), train=True, optimizer=optimizer, target=target, by="op"
    )
    assert weighing.summary.assumptions[0] == f"the optimizer is AdamW, {implementation} implementation"
    assert any("_foreach_" in row["name"] for row in weighing.rows()) == (implementation == "foreach")
    assert optimizer.param_groups[0]["foreach"] is None


def test_the_users_optimizer_keeps_its_state_and_is_weighed_with_it(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.randn(8, 16)).sum().backward()
    optimizer.step()
    before = state(net)
    kept = {p: dict(s) for p, s in optimizer.state.items()}
    weighing = sy.annotate(net, inputs=torch.randn(8, 16), train=True, optimizer=optimizer, target="h100-sxm")
    assert weighing.summary.memory.by_role["optimizer_state"] == sum(p.nbytes for p in net.parameters())
    assert any("SGD" in each for each in weighing.summary.assumptions)
    assert unchanged(net, before)
    assert {p: dict(s) for p, s in optimizer.state.items()} == kept
    assert optimizer.param_groups[0]["params"] == list(net.parameters())


def test_micro_steps_repeat_forward_and_backward_but_not_the_optimizer(net):
    one, four = (
        sy.annotate(net, inputs=torch.randn(8, 16), train=True, accumulate=n, target="h100-sxm")
        for n in (1, 4)
    )
    assert contraction(four) == 4 * contraction(one)
    assert four.summary.flops_by_phase["optimizer"] == one.summary.flops_by_phase["optimizer"]


def test_a_step_is_recorded_as_it_is(net):
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    given = torch.randn(8, 16)

    def step(model, batch):
        outputs = model(batch)
        loss = outputs.float().sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    before = state(net)
    own = sy.annotate(net, inputs=given, step=step, target="h100-sxm")
    usual = sy.annotate(net, inputs=given, train=True, optimizer=optimizer, target="h100-sxm")
    assert own.summary.flops_by_phase == usual.summary.flops_by_phase
    assert own.summary.memory.bytes == usual.summary.memory.bytes
    assert unchanged(net, before)
    assert not optimizer.state


def test_passes_run_on_a_copy(net):
    net = nn.Sequential(net, nn.Sigmoid(), nn.Tanh())
    program = sy.capture(net, inputs=torch.randn(8, 16), target="h100-sxm")
    before = str(program)
    fused = sy.run_passes(program, "annotate{device=h100-sxm},fuse,annotate-latency{device=h100-sxm}")
    assert "kernel.fused" in str(fused)
    assert str(program) == before
    assert sy.annotate(program, target="h100-sxm").to_dict()["flops"] > 0


def test_results_print_and_convert(net):
    pandas = pytest.importorskip("pandas")
    weighing = sy.annotate(net, inputs=torch.randn(8, 16), target="h100-sxm")
    assert "Sequential: inference, 740 parameters" in str(weighing)
    assert weighing._repr_html_().startswith("<pre>")
    assert json.loads(weighing.to_json()) == weighing.to_dict()
    frame = weighing.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["name"]) == [row["name"] for row in weighing.to_dict()["rows"]]


def test_fits_and_the_largest_batch_of_a_live_module(net):
    assert sy.fits(net, inputs=torch.randn(8, 16), target="t4")
    found = sy.max_batch(
        net, inputs=lambda batch: torch.empty(batch, 16, device="meta"), target="t4", reserve="14GiB"
    )
    assert found.batch and found.fits


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda net: sy.annotate(net), "without inputs"),
        (lambda net: sy.annotate(net, inputs=torch.randn(2, 16), batch=4), "batch has no effect"),
        (lambda net: sy.annotate("hf:gpt2", inputs=1), "inputs has no effect"),
        (lambda net: sy.annotate(3), "a int cannot be weighed"),
        (lambda net: sy.annotate(net, inputs=torch.randn(2, 16), target="h10"), "h10"),
        (lambda net: sy.max_batch(net, inputs=torch.randn(2, 16), target="t4"), "do not vary"),
    ],
)
def test_mistakes_are_told(net, call, what):
    with pytest.raises(sy.SteelyardError, match=what):
        call(net)


def test_importing_imports_neither_torch_nor_xdsl():
    code = "import sys, steelyard; print([m for m in ('torch', 'xdsl', 'numpy') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_devices_are_loaded():
    assert "h100-sxm" in {device.name for device in sy.devices()}


def test_verify_runs_copies(net):
    before = state(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    result = sy.verify(net, inputs=torch.randn(8, 16), train=True, optimizer=optimizer)
    assert not result.comparison.different
    assert "peak memory" in str(result)
    assert unchanged(net, before)
