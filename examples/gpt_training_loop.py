"""Weigh a GPT's training loop as it is written: clipping, accumulation and scheduler included."""

import argparse

import torch
from transformers import GPT2Config, GPT2LMHeadModel

import steelyard as sy


def main() -> None:
    """Predict the step, then train with the same function."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument("--micro-steps", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--target", default="cpu")
    given = parser.parse_args()

    config = GPT2Config(n_layer=given.layers, n_embd=128, n_head=4, vocab_size=1000)
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        loss = torch.zeros(())
        for _ in range(given.micro_steps):
            loss = model(input_ids=batch, labels=batch).loss / given.micro_steps
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    ids = torch.randint(config.vocab_size, (2, given.sequence))
    print(sy.annotate(model, inputs=ids, step=step, target=given.target, by="phase"))
    for number in range(given.steps):
        print(f"step {number}: loss {step(model, ids):.3f}")


if __name__ == "__main__":
    main()
