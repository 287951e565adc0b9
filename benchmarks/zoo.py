"""Weighs and runs tiny variants of the zoo: coverage, FLOPs, peak memory and numerics beside eager PyTorch.

python benchmarks/zoo.py            # all
python benchmarks/zoo.py gpt2 vit   # some
"""

from report import Report, arguments

from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.spec import load_spec
from steelyard.hw.base.errors import SteelyardError
from steelyard.runtime.verify.verify import verify

_TEXT = "hidden_size=64&intermediate_size=128&num_hidden_layers=2&num_attention_heads=4&vocab_size=512"
_IMAGES = ("resnet", "mobilenet_v2", "vit", "convnext", "swin")
TINY = {
    "gpt2": "hf:gpt2?n_layer=2&n_embd=64&n_head=2&vocab_size=512",
    "bert": f"hf:bert?{_TEXT}",
    "resnet": "hf:resnet?depths=[1,1,1,1]&hidden_sizes=[32,64,64,64]&embedding_size=16",
    "mobilenet_v2": "hf:mobilenet_v2?depth_multiplier=0.35&image_size=64",
    "vit": "hf:vit?hidden_size=64&intermediate_size=128&num_hidden_layers=2&num_attention_heads=4"
    "&image_size=64",
    "t5": "hf:t5?d_model=64&d_kv=16&d_ff=128&num_layers=2&num_heads=4&vocab_size=512",
    "llama": f"hf:llama?{_TEXT}&num_key_value_heads=2",
    "mixtral": f"hf:mixtral?{_TEXT}&num_key_value_heads=2&num_local_experts=4",
    "whisper": "hf:whisper?d_model=64&encoder_layers=2&decoder_layers=2&encoder_attention_heads=4"
    "&decoder_attention_heads=4&encoder_ffn_dim=128&decoder_ffn_dim=128&vocab_size=512"
    "&pad_token_id=0&bos_token_id=1&eos_token_id=2&decoder_start_token_id=1&max_source_positions=64",
    "convnext": "hf:convnext?hidden_sizes=[16,32,32,64]&depths=[1,1,1,1]&image_size=64",
    "swin": "hf:swin?embed_dim=16&depths=[1,1]&num_heads=[2,4]&window_size=4&image_size=64",
    "clip": "hf:clip?text_config.hidden_size=64&text_config.intermediate_size=128"
    "&text_config.num_hidden_layers=2&text_config.num_attention_heads=4&vision_config.hidden_size=64"
    "&vision_config.intermediate_size=128&vision_config.num_hidden_layers=2"
    "&vision_config.num_attention_heads=4&vision_config.image_size=64",
}


NEAR = 0.01
"""Error of a peak that counts as near."""


def sizes(name: str) -> dict[str, int]:
    """The inputs of a tiny variant: images have no tokens."""
    return {"batch": 2} if name in _IMAGES else {"batch": 2, "sequence": 32}


def main() -> None:
    report = Report(
        "zoo",
        "Tiny variants of twelve models",
        "The IR runs beside eager PyTorch: results, loss, gradients and updated parameters bit for bit, peak "
        "memory by the CPU allocator's events, FLOPs by torch's FlopCounterMode.",
        {
            "model": "",
            "mode": "",
            "ops": ",",
            "unknown": "",
            "FLOPs": ",",
            "FlopCounterMode": ",",
            "peak, predicted / measured": ".5f",
            "measured bytes": ",.0f",
            "equal": "",
            "largest difference": ".2g",
        },
    )
    equal = cases = unknown = near = 0
    for name in arguments() or TINY:
        for train in (False, True):
            options = CaptureOptions(train=train, **sizes(name))
            mode = "train" if train else "inference"
            cases += 1
            try:
                found = verify(load_spec(TINY[name], options), options, device="cpu", least_s=0.0)
            except SteelyardError as error:
                report.add(name, mode, str(error).splitlines()[0], *[None] * 7)
                continue
            memory = found.peak_memory_bytes
            report.add(
                name,
                mode,
                found.num_ops,
                found.num_unknown,
                found.flops_ours,
                found.flops_torch,
                memory.ratio,
                memory.measured,
                not found.different,
                found.max_abs_diff,
            )
            equal += not found.different
            unknown += found.num_unknown
            near += abs(memory.ratio - 1) < NEAR
    report.finish(
        f"{equal} of {cases} equal bit for bit, {unknown} ops unknown, {near} peaks within {NEAR:.0%}",
        "all equal, none unknown, all peaks",
    )


if __name__ == "__main__":
    main()
