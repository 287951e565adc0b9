"""Kernel shapes of models, the centres of sampling."""

import tomllib
from importlib.resources import files

from steelyard.runtime.learn.kernel_families import Config, KernelFamily


def shipped_shapes(family: KernelFamily) -> tuple[Config, ...]:
    """Return the kernels of the models that `benchmarks/kernel_shapes.py` names, at batch 1."""
    text = files("steelyard.runtime.learn").joinpath("shapes.toml").read_text(encoding="utf-8")
    return tuple(tuple(config) for config in tomllib.loads(text)[family.name])
