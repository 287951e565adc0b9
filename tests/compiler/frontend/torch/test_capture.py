import operator

import pytest
import torch

from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture, record
from steelyard.compiler.frontend.torch.optimizer import make_optimizer
from steelyard.compiler.frontend.torch.program import CapturedProgram, TensorSpec, drop
from steelyard.compiler.frontend.torch.training_step import (
    forward_step,
    training_step,
)

SMALL = "hidden_size=32&num_attention_heads=4&intermediate_size=64&vocab_size=100&num_hidden_layers=1"
ZOO = {
    "gpt2": "hf:gpt2?n_layer=2&n_embd=32&n_head=4&vocab_size=100",
    "gpt2-eager": "hf:gpt2?n_layer=1&n_embd=32&n_head=4&vocab_size=100&attn_implementation=eager",
    "bert": f"hf:bert?{SMALL}",
    "resnet": "hf:resnet?depths=[1,1]&hidden_sizes=[8,16]&embedding_size=8",
    "mobilenet_v2": "hf:mobilenet_v2?depth_multiplier=0.25",
    "vit": "hf:vit?hidden_size=32&num_attention_heads=4&intermediate_size=64&num_hidden_layers=1"
    "&image_size=32",
    "t5": "hf:t5?num_layers=1&d_model=32&d_ff=64&num_heads=4&d_kv=8&vocab_size=100",
    "llama": f"hf:llama?{SMALL}&num_key_value_heads=2",
    "mixtral": f"hf:mixtral?{SMALL}&num_key_value_heads=2&num_local_experts=4",
    "whisper": "hf:whisper?encoder_layers=1&decoder_layers=1&d_model=32&encoder_attention_heads=4"
    "&decoder_attention_heads=4&encoder_ffn_dim=64&decoder_ffn_dim=64&vocab_size=100&max_source_positions=50"
    "&pad_token_id=0&bos_token_id=1&eos_token_id=2&decoder_start_token_id=3",
    "convnext": "hf:convnext?depths=[1,1]&hidden_sizes=[8,16]&num_stages=2&drop_path_rate=0.1",
    "swin": "hf:swin?depths=[1,2]&num_heads=[2,4]&embed_dim=32&image_size=56",
    "clip": "hf:clip?text_config.num_hidden_layers=1&text_config.hidden_size=32"
    "&text_config.num_attention_heads=4"
    "&vision_config.num_hidden_layers=1&vision_config.hidden_size=32&vision_config.num_attention_heads=4"
    "&vision_config.image_size=64",
}
IMAGE_SIZES = {"resnet": 32, "mobilenet_v2": 32, "convnext": 32, "vit": 32, "swin": 56}
GPT2 = ZOO["gpt2"]


def options_for(name: str, train: bool, **more) -> CaptureOptions:
    image_size = IMAGE_SIZES.get(name)
    sequence = None if image_size else 16
    return CaptureOptions(
        train=train, batch=2, sequence=sequence, image_size=image_size, return_grads=train, **more
    )


def describe(program: CapturedProgram) -> list[tuple[str, ...]]:
    return [
        (
            node.name,
            str(node.target),
            str(node.args),
            str(node.kwargs),
            str(sorted(node.meta.items(), key=str)),
        )
        for node in program.graph.nodes
    ]


def real_values(built: BuiltModel, optimizer: torch.optim.Optimizer | None) -> dict[str, torch.Tensor]:
    values = dict(built.module.named_parameters()) | dict(built.module.named_buffers())
    values |= dict(named_tensors(dict(built.inputs)))
    for path, parameter in built.module.named_parameters():
        state = optimizer.state[parameter] if optimizer else {}
        values |= {f"{path}.{key}": tensor for key, tensor in state.items()}
    return values


def replay(program: CapturedProgram, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    values = values | program.constants
    paths = {argument.name: argument.path for argument in program.arguments}
    env: dict[torch.fx.Node, torch.Tensor] = {}
    with torch.no_grad():
        for node in program.graph.nodes:
            if node.op == "placeholder":
                env[node] = values[paths[node.name]].detach()
                continue
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), env.__getitem__)
            if node.op == "output":
                return dict(zip(program.results, args[0], strict=True))
            env[node] = node.target(*args, **kwargs)
    raise AssertionError("no output")


def build_and_optimizer(model, options: CaptureOptions):
    built = model.build(fake=False, seed=1)
    return built, make_optimizer(built.module, options) if options.train else None


@pytest.mark.parametrize("train", [False, True], ids=["forward", "step"])
@pytest.mark.parametrize("name", ZOO)
def test_captured_program_is_what_eager_dispatches_and_computes(name, train):
    options = options_for(name, train)
    model = load_spec(ZOO[name], options)
    program = capture(model, options)

    eager = record(model.build(fake=False, seed=1), model.spec, options)
    assert describe(program) == describe(eager)

    built, optimizer = build_and_optimizer(model, options)
    expected = training_step(built, optimizer, options) if train else forward_step(built, options)
    after = real_values(built, optimizer)
    built, optimizer = build_and_optimizer(model, options)
    values = real_values(built, optimizer)
    actual = replay(program, values)
    assert list(actual) == list(expected)
    for result, value in expected.items():
        assert torch.equal(actual[result], value), result
    for path, value in after.items():
        assert torch.equal(values[path], value), f"{path} after the step"


@pytest.fixture(scope="module")
def step() -> CapturedProgram:
    options = CaptureOptions(train=True, batch=1, sequence=8)
    return capture(load_spec(GPT2, options), options)


def find(program: CapturedProgram, name: str) -> list[torch.fx.Node]:
    return [node for node in program.graph.nodes if str(node.target) == name]


def test_optimizer_is_one_op_with_lists(step):
    (adamw,) = find(step, "aten._fused_adamw_.default")
    parameters = [argument.name for argument in step.arguments if argument.role == "parameter"]
    assert [node.name for node in adamw.args[0]] == parameters
    assert adamw.meta["phase"] == "optimizer"


def test_roles_cover_the_state_at_entry(step):
    roles = {argument.path: argument.role for argument in step.arguments}
    assert roles["transformer.wte.weight"] == "parameter"
    assert roles["transformer.wte.weight.exp_avg"] == "optimizer_state"
    assert roles["input_ids"] == "input"
    assert roles["labels"] == "target"
    assert "lm_head.weight" not in roles, "it is tied to the embedding"


def test_phases_follow_each_other(step):
    phases = [node.meta["phase"] for node in step.graph.nodes if node.op == "call_function"]
    assert list(dict.fromkeys(phases)) == ["forward", "loss", "backward", "optimizer"]
    (loss,) = find(step, "aten.nll_loss_forward.default")
    assert loss.meta["phase"] == "loss"


def test_backward_has_the_path_and_line_of_its_forward(step):
    (*_, forward) = find(step, "aten._scaled_dot_product_flash_attention_for_cpu.default")
    (backward, *_) = find(step, "aten._scaled_dot_product_flash_attention_for_cpu_backward.default")
    assert forward.meta["path"] == backward.meta["path"] == "transformer.h.1.attn"
    assert forward.meta["source"] == backward.meta["source"]
    assert forward.meta["source"].startswith("sdpa_attention.py:")


def test_results_of_multi_result_ops_are_getitems(step):
    (norm, *_) = find(step, "aten.native_layer_norm.default")
    items = [user for user in norm.users if user.target is operator.getitem]
    assert [item.args[1] for item in items] == [0, 1, 2]
    assert [item.meta["val"] for item in items] == list(norm.meta["val"])
    assert norm.meta["val"][0] == TensorSpec((1, 8, 32), torch.float32, (256, 32, 1))


def test_logits_live_until_the_end_of_the_step(step):
    (logits, *_) = [n for n in find(step, "aten.mm.default") if n.meta["path"] == "lm_head"]
    nodes = list(step.graph.nodes)
    (mark,) = [user for user in logits.users if user.target is drop]
    (adamw,) = find(step, "aten._fused_adamw_.default")
    assert nodes.index(mark) > nodes.index(adamw)


def test_forward_drops_activations_where_python_does():
    options = CaptureOptions(sequence=8)
    program = capture(load_spec(GPT2, options), options)
    # The residual of a block is a local of the block: it outlives the addition that reads it last.
    marks = [node for node in program.graph.nodes if node.target is drop]
    assert any(str(mark.args[0].target) == "aten.addmm.default" for mark in marks)


def test_gradients_are_returned_in_parameter_order():
    options = CaptureOptions(train=True, sequence=8, return_grads=True, optimizer="none")
    program = capture(load_spec(GPT2, options), options)
    parameters = [argument.path for argument in program.arguments if argument.role == "parameter"]
    assert program.results == ("loss", *(f"grad:{path}" for path in parameters))
    assert not find(program, "aten._fused_adamw_.default")


def test_sgd_and_autocast():
    options = CaptureOptions(train=True, sequence=8, optimizer="sgd", autocast="bfloat16")
    program = capture(load_spec(GPT2, options), options)
    assert len(find(program, "aten._fused_sgd_.default")) == 1
    matmul = find(program, "aten.addmm.default")[0]
    assert matmul.meta["val"].dtype == torch.bfloat16
    assert {a.path.rpartition(".")[2] for a in program.arguments if a.role == "optimizer_state"} == {
        "momentum_buffer"
    }


def test_capture_holds_no_weights_of_a_large_model():
    # 70 billion parameters per 80 layers; one layer alone would take 1.7 GB.
    spec = (
        "hf:llama?hidden_size=8192&intermediate_size=28672&num_hidden_layers=1&num_attention_heads=64"
        "&num_key_value_heads=8&vocab_size=128256"
    )
    options = CaptureOptions(train=True, sequence=4096, dtype="bfloat16")
    program = capture(load_spec(spec, options), options)
    parameters = [a.spec for a in program.arguments if a.role == "parameter"]
    assert sum(torch.Size(spec.shape).numel() for spec in parameters) == 2_957_008_896
    assert {spec.dtype for spec in parameters} == {torch.bfloat16}


def test_gradients_are_added_in_place_where_autograd_does(tmp_path):
    """The gradient of x*a is no view, that of a linear layer is one, which keeps its base."""
    path = tmp_path / "model.py"
    path.write_text(
        "import torch\n"
        "class Model(torch.nn.Module):\n"
        "    def __init__(self, through_view):\n"
        "        super().__init__()\n"
        "        self.scale = torch.nn.Parameter(torch.ones(3))\n"
        "        self.layers = torch.nn.ModuleList(torch.nn.Linear(3, 3, bias=False) for _ in range(2))\n"
        "        self.through_view = through_view\n"
        "    def forward(self, x):\n"
        "        x = x * self.scale\n"
        "        if self.through_view:\n"
        "            return self.layers[0](x) + self.layers[1](x)\n"
        "        return x * 2 + x * 3\n"
        "def product():\n"
        "    return Model(False), torch.randn(2, 4, 3)\n"
        "def view():\n"
        "    return Model(True), torch.randn(2, 4, 3)\n"
    )
    for function, expected in (("product", "aten.add_.Tensor"), ("view", "aten.add.Tensor")):
        options = CaptureOptions(train=True, optimizer="none")
        program = capture(load_spec(f"{path}:{function}", options), options)
        backward = [str(n.target) for n in program.graph.nodes if n.meta.get("phase") == "backward"]
        assert [name for name in backward if name.startswith("aten.add")] == [expected]


@pytest.mark.parametrize("conversion", ["half()", "to(torch.float16)", "to(torch.float16).to('cpu')"])
def test_a_file_may_convert_its_model(tmp_path, conversion):
    path = tmp_path / "model.py"
    path.write_text(
        "import torch\n"
        "def make():\n"
        "    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4, bias=False))\n"
        "    model[1].weight = model[0].weight\n"
        f"    return model.{conversion}, torch.randn(2, 4, dtype=torch.float16)\n"
    )
    options = CaptureOptions(train=True)
    program = capture(load_spec(f"{path}:make", options), options)
    parameters = [a for a in program.arguments if a.role == "parameter"]
    assert [a.path for a in parameters] == ["0.weight", "0.bias"]
    assert all(a.spec.dtype == torch.float16 for a in parameters)
