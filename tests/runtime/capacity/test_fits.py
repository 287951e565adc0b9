import json
import shlex
import subprocess
import sys

import pytest

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.allocators.context import context_overhead
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.runtime.capacity.fits import MemoryBudget, check_fit
from steelyard.runtime.capacity.max_batch import largest_batch
from steelyard.runtime.cli import main
from steelyard.runtime.program.load import load_costed
from steelyard.runtime.report.format_fit import format_fit

SPEC = "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=1000"
GIB = 2**30


def capture(batch: int):
    return load_costed(SPEC, {"train": True, "batch": batch, "sequence": 64}, "t4")


def leave(arguments: str) -> int:
    try:
        main(shlex.split(arguments))
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_terms_add_up():
    fit = check_fit(capture(4), MemoryBudget(device=load_device("t4"), reserve_bytes=GIB))
    assert fit.fits
    assert fit.first_step_bytes <= fit.peak_allocated_bytes <= fit.peak_reserved_bytes
    value, low, high = fit.margin_bytes
    context = context_overhead(load_device("t4"))
    assert value == 16 * GIB - GIB - context.value - fit.peak_reserved_bytes
    assert low <= value <= high
    assert sum(fit.by_category.values()) == fit.peak_reserved_bytes + context.value
    tensors = sum(fit.by_category.values()) - sum(
        fit.by_category[name] for name in ("context", "fragmentation")
    )
    assert sum(fit.by_module.values()) == sum(fit.by_source.values()) == tensors
    assert {"parameter", "optimizer_state", "activation", "workspace", "input"} < set(fit.by_category)
    assert "transformer.h.0.mlp.c_fc" in fit.by_module


def test_convolutions_make_the_margin_less_sure():
    spec = "hf:resnet?depths=[1,1,1,1]&hidden_sizes=[64,64,64,64]&embedding_size=64&layer_type=basic"
    module = load_costed(spec, {"batch": 16, "image_size": 224, "train": True}, "t4")
    fit = check_fit(module, MemoryBudget(device=load_device("t4")))
    value, low, high = fit.margin_bytes
    assert fit.unsure_bytes > 0
    assert value - low == fit.context_bytes[2] - fit.context_bytes[0] + fit.unsure_bytes
    assert high - value == fit.context_bytes[0] - fit.context_bytes[1] + fit.unsure_bytes


def test_the_largest_batch_is_the_largest():
    device = load_device("t4")
    reserve = round(device.memory_capacity_bytes.value) - GIB
    budget = MemoryBudget(device=device, reserve_bytes=reserve)
    found = largest_batch(capture, budget)
    assert found.batch > 1
    assert check_fit(capture(found.batch), budget).fits
    assert not check_fit(capture(found.batch + 1), budget).fits


def test_yes_and_no(capsys):
    assert leave(f"fits '{SPEC}' --device t4 --format json") == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    command = f"fits '{SPEC}' --device t4 --train --batch 512 --sequence 64 --reserve 15.2GiB --format json"
    assert leave(command) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["fits"] is False
    assert report["margin_bytes"][0] < 0
    assert "does not fit" in report["why"]
    ways = {way["change"]: way for way in report["ways_to_fit"]}
    assert any(change.startswith("--batch") and way["fits"] for change, way in ways.items())
    assert "--optimizer sgd" in ways
    zero = [ways[f"ZeRO stage {stage} over 8 devices"] for stage in (1, 2, 3)]
    peaks = [way["peak_reserved_bytes"] for way in zero]
    assert peaks == sorted(peaks, reverse=True)
    assert all(way["time_per_sample"] > 1 for way in zero)


def test_max_batch_prints_the_number_first(capsys):
    assert leave(f"max-batch '{SPEC}' --device t4 --train --sequence 64 --reserve 15GiB") == 0
    assert int(capsys.readouterr().out.splitlines()[0]) > 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--reserve 20GiB", "nothing is left"),
        ("--reserve much", "is not a size"),
        ("--allocator expandable:True", "did you mean 'expandable_segments'"),
        ("--device t44", "t4"),
        ("--cuda new", "is no version"),
        ("--allocator backend:cudaMallocAsync", "is not modelled"),
        ("--memory-timeline m.txt", "neither .csv nor .json"),
    ],
)
def test_bad_input(options, says, capsys):
    device = "" if "--device" in options else "--device t4"
    assert leave(f"fits '{SPEC}' {device} {options}") == 2
    assert says in capsys.readouterr().err


def test_less_memory_than_the_parameters_take(capsys):
    spec = "hf:gpt2?n_layer=1&n_embd=64&n_head=2&vocab_size=4000000"
    assert leave(f"fits '{spec}' --device t4 --reserve 15GiB --format json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["place"] == "before the first op"
    assert "parameters, inputs and what else" in report["why"]
    assert report["by_category"]["parameter"] > GIB - report["context_bytes"][0]


def test_the_arena_of_onnx_runtime(capsys):
    options = "backend:onnxruntime,arena_extend_strategy:kSameAsRequested"
    assert leave(f"fits '{SPEC}' --device cpu --allocator {options} --format json") == 0
    same = json.loads(capsys.readouterr().out)
    assert leave(f"fits '{SPEC}' --device cpu --allocator backend:onnxruntime --format json") == 0
    doubled = json.loads(capsys.readouterr().out)
    assert same["peak_reserved_bytes"] <= doubled["peak_reserved_bytes"]
    assert doubled["peak_reserved_bytes"] % 2**20 == 0


def test_memory_over_time(tmp_path, capsys):
    path = tmp_path / "m.csv"
    assert leave(f"fits '{SPEC}' --device t4 --train --sequence 16 --memory-timeline {path}") == 0
    rows = path.read_text().splitlines()
    assert rows[0].startswith("index,step,op,phase,module,source,category,bytes,live_bytes")
    assert len(rows) > 500
    assert leave(f"annotate '{SPEC}' --memory-timeline {path}") == 0
    assert "wrote" in capsys.readouterr().err


def test_a_program_with_an_op_of_unknown_work_fits_on_a_condition():
    text = """func.func @forward(%x : tensor<8xf32>) -> tensor<8xf32> {
  %y = torch.op "mylib::mystery(Tensor x) -> Tensor"(%x) : tensor<8xf32>
  func.return %y : tensor<8xf32> }"""
    module = parse_program(text)
    AnnotateCostPass().apply(make_context(), module)
    fit = check_fit(module, MemoryBudget(device=load_device("t4")))
    assert fit.unknown_by_op == {"mylib.mystery": 1}
    first, *_ = format_fit(fit, []).splitlines()
    assert first == "yes, if these ops of unknown work take no more than is left: mylib.mystery (1)"


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop", "adagrad", "none"])
def test_no_weight_of_a_large_model_is_allocated(optimizer):
    """The f32 weights of four layers are 7 GiB, with gradients 14; `fits` also tries other optimizers."""
    code = (
        "import resource, sys; from steelyard.runtime.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "sys.stderr.write(f'RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}')"
    )
    flags = ["--train", "--sequence", "128", "--device", "t4", "--optimizer", optimizer]
    done = subprocess.run(
        [sys.executable, "-c", code, "fits", "llama-3-8b?num_hidden_layers=4", *flags],
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(("NO: ", "yes: ")), done.stderr
    assert int(done.stderr.rpartition("RSS ")[2]) * 1024 < 2 * GIB
