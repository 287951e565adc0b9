import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp

from steelyard.compiler.frontend.lower import lower
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.frontend.torch.capture import capture
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.text import format_program
from steelyard.passes.structure.inline import InlinePass

SMALL = "hidden_size=32&num_attention_heads=4&intermediate_size=64&vocab_size=100"
DEEP = {
    "gpt2": "hf:gpt2?n_layer={n}&n_embd=32&n_head=4&vocab_size=100",
    "gpt2-eager": "hf:gpt2?n_layer={n}&n_embd=32&n_head=4&vocab_size=100&attn_implementation=eager",
    "bert": f"hf:bert?{SMALL}&num_hidden_layers={{n}}",
    "vit": "hf:vit?hidden_size=32&num_attention_heads=4&intermediate_size=64&image_size=32"
    "&num_hidden_layers={n}",
    "llama": f"hf:llama?{SMALL}&num_key_value_heads=2&num_hidden_layers={{n}}",
    "mixtral": f"hf:mixtral?{SMALL}&num_key_value_heads=2&num_local_experts=4&num_hidden_layers={{n}}",
    "t5": "hf:t5?num_layers={n}&d_model=32&d_ff=64&num_heads=4&d_kv=8&vocab_size=100",
    "whisper": "hf:whisper?encoder_layers={n}&decoder_layers={n}&d_model=32&encoder_attention_heads=4"
    "&decoder_attention_heads=4&encoder_ffn_dim=64&decoder_ffn_dim=64&vocab_size=100&max_source_positions=50"
    "&pad_token_id=0&bos_token_id=1&eos_token_id=2&decoder_start_token_id=3",
    "clip": "hf:clip?text_config.num_hidden_layers={n}&text_config.hidden_size=32"
    "&text_config.num_attention_heads=4&vision_config.num_hidden_layers={n}&vision_config.hidden_size=32"
    "&vision_config.num_attention_heads=4&vision_config.image_size=64",
    "resnet": "hf:resnet?depths=[1,{n}]&hidden_sizes=[8,16]&embedding_size=8",
    "convnext": "hf:convnext?depths=[1,{n}]&hidden_sizes=[8,16]&num_stages=2",
}
STACKS = {"t5": 2, "whisper": 2, "clip": 2}
IMAGE_SIZES = {"resnet": 32, "convnext": 32, "vit": 32, "swin": 64}
MODES = {
    "forward": {"train": False},
    "autocast": {"train": False, "autocast": "bfloat16"},
    "adamw": {"train": True},
    "sgd-autocast": {"train": True, "optimizer": "sgd", "autocast": "bfloat16"},
    "gradients": {"train": True, "optimizer": "none", "return_grads": True},
}


def lower_both(spec: str, options: CaptureOptions) -> tuple[ModuleOp, str]:
    """The composed program, and the text of the program of a whole capture."""
    model = load_spec(spec, options)
    return lower(model, options), format_program(import_program(capture(model, options), options))


def inlined(module: ModuleOp) -> str:
    flat = module.clone()
    InlinePass().apply(make_context(), flat)
    return format_program(flat)


def num_calls(module: ModuleOp) -> int:
    return sum(isinstance(op, CallOp) for op in module.walk())


def check_composed(name: str, depth: int, mode: str) -> None:
    sizes = {"image_size": IMAGE_SIZES[name]} if name in IMAGE_SIZES else {"sequence": 16}
    options = CaptureOptions(batch=2, **sizes, **MODES[mode])
    module, whole = lower_both(DEEP[name].format(n=depth), options)
    module.verify()
    passes = 2 if options.train else 1
    assert num_calls(module) == STACKS.get(name, 1) * passes * (depth - 2)
    assert inlined(module) == whole


@pytest.mark.parametrize("name", DEEP)
def test_a_composed_step_is_that_of_a_whole_capture(name):
    check_composed(name, 6, "adamw")


@pytest.mark.parametrize("mode", MODES)
def test_a_composed_program_is_that_of_a_whole_capture_in_every_mode(mode):
    check_composed("t5", 7, mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", [6, 12])
@pytest.mark.parametrize("name", DEEP)
def test_all_composed_programs_are_those_of_whole_captures(name, depth, mode):
    check_composed(name, depth, mode)


FILE = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, index):
        super().__init__()
        self.index = index
        self.rate = {rate}
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
    def forward(self, x, extra=None):
        {block}

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block(i) for i in range(8))
        {init}
    def forward(self, x):
        {model}

def make():
    return Model(), torch.randn(2, 4)
"""
BLOCK = "return x + self.down(torch.relu(self.up(x)))"
LOOP = "for block in self.blocks: x = block(x)"


def write_model(tmp_path, *, block=BLOCK, init="pass", model=f"{LOOP}\n        return x", rate="0.0") -> str:
    path = tmp_path / "model.py"
    path.write_text(FILE.format(block=block, init=init, model=model, rate=rate))
    return f"{path}:make"


INDENT = "\n        "
REGULAR = {
    "plain": {},
    "own numbers that nobody reads": {"rate": "index / 10"},
    "a shared input": {
        "block": "return x + self.down(torch.relu(self.up(x))) * extra",
        "model": f"extra = x.sum(){INDENT}for block in self.blocks: x = block(x, extra){INDENT}return x",
    },
    "what the block before made on the side": {
        "block": f"x, side = x if isinstance(x, tuple) else (x, 0){INDENT}"
        "y = torch.relu(self.up(x)) + side\n        return x + self.down(y), y",
        "model": f"{LOOP}{INDENT}return x[0]",
    },
}
IRREGULAR = {
    "the number decides": {"block": f"if self.index == 4: return x\n        {BLOCK}"},
    "a rate that grows": {"rate": "index / 10", "block": "return x + self.down(self.up(x)) * self.rate"},
    "other shapes": {"init": "self.blocks[3].up, self.blocks[3].down = nn.Linear(4, 16), nn.Linear(16, 4)"},
    "shared weights": {"init": "self.blocks[5].up.weight = self.blocks[2].up.weight"},
    "weights used elsewhere": {"model": f"{LOOP}{INDENT}return x + self.blocks[4].down.bias"},
    "a sum over all weights": {"model": f"{LOOP}{INDENT}return x + sum(p.sum() for p in self.parameters())"},
    "all states": {
        "model": f"states = []{INDENT}for block in self.blocks:{INDENT}    x = block(x){INDENT}"
        f"    states.append(x){INDENT}return torch.stack(states)",
    },
    "the state of a middle block": {
        "model": f"for i, block in enumerate(self.blocks):{INDENT}    x = block(x){INDENT}"
        f"    kept = x if i == 4 else kept if i else None{INDENT}return x + kept",
    },
    "ops between blocks": {"model": f"for block in self.blocks: x = block(x) * 2{INDENT}return x"},
    "arguments that change": {
        "block": "return x + self.down(self.up(x)) * extra",
        "model": f"for i, block in enumerate(self.blocks): x = block(x, i){INDENT}return x",
    },
    "a block left out": {
        "model": f"for i, block in enumerate(self.blocks): x = x if i == 4 else block(x){INDENT}return x",
    },
    "blocks run twice": {"model": f"{LOOP}{INDENT}{LOOP}{INDENT}return x"},
    "blocks run backwards": {"model": f"for block in reversed(self.blocks): x = block(x){INDENT}return x"},
    "a hook": {"init": "self.blocks[4].register_forward_hook(lambda module, args, out: out * 2)"},
    "a patched block": {"init": "self.blocks[4].forward = lambda x: x * 2"},
}


@pytest.mark.parametrize("train", [False, True], ids=["forward", "step"])
@pytest.mark.parametrize("name", REGULAR)
def test_equal_blocks_become_calls(name, train, tmp_path):
    module, whole = lower_both(write_model(tmp_path, **REGULAR[name]), CaptureOptions(train=train))
    assert num_calls(module) == (12 if train else 6)
    assert inlined(module) == whole


@pytest.mark.parametrize("train", [False, True], ids=["forward", "step"])
@pytest.mark.parametrize("name", IRREGULAR)
def test_blocks_that_differ_are_captured_as_a_whole(name, train, tmp_path):
    module, whole = lower_both(write_model(tmp_path, **IRREGULAR[name]), CaptureOptions(train=train))
    assert num_calls(module) == 0
    assert format_program(module) == whole


def test_few_blocks_are_all_captured():
    options = CaptureOptions(sequence=8)
    module, whole = lower_both(DEEP["gpt2"].format(n=5), options)
    assert num_calls(module) == 0
    assert format_program(module) == whole
