"""Compare fine-tuning with LoRA to fine-tuning all weights: memory and time of a step."""

import argparse

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

import steelyard as sy


def main() -> None:
    """Print the time and the peak memory of both, by what the memory is for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--sequence", type=int, default=512)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--target", default="t4")
    given = parser.parse_args()

    model = GPT2LMHeadModel(GPT2Config(n_layer=given.layers))
    ids = torch.zeros(1, given.sequence, dtype=torch.long)
    batch = {"input_ids": ids, "labels": ids}
    full = sy.annotate(model, inputs=batch, train=True, target=given.target)
    adapted = get_peft_model(model, LoraConfig(r=given.rank, target_modules=["c_attn"], fan_in_fan_out=True))
    lora = sy.annotate(adapted, inputs=batch, train=True, target=given.target)
    for name, weighing in (("all weights", full), ("LoRA", lora)):
        summary = weighing.summary
        print(f"{name}: {summary.total.latency_us / 1e3:.2f} ms, {summary.memory.bytes / 2**20:,.0f} MiB")
        for role, size in summary.memory.by_role.items():
            print(f"  {role:16}{size / 2**20:10,.1f} MiB")


if __name__ == "__main__":
    main()
