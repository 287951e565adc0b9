"""Weigh the step that a transformers Trainer will run, from its own model, collator and arguments."""

import argparse
import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import steelyard as sy


def main() -> None:
    """Predict one step of a Trainer, then let it train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--target", default="cpu")
    given = parser.parse_args()

    config = GPT2Config(n_layer=given.layers, n_embd=128, n_head=4, vocab_size=1000)
    samples = [{"input_ids": ids, "labels": ids} for ids in torch.randint(1000, (32, 64))]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            max_steps=given.steps,
            report_to=[],
            use_cpu=True,
        )
        trainer = Trainer(GPT2LMHeadModel(config), arguments, train_dataset=samples)
        batch = trainer.data_collator(samples[: arguments.per_device_train_batch_size])
        weighing = sy.annotate(
            trainer.model,
            inputs=batch,
            train=True,
            optimizer=trainer.create_optimizer(),
            accumulate=arguments.gradient_accumulation_steps,
            target=given.target,
        )
        print(weighing)
        trainer.train()


if __name__ == "__main__":
    main()
