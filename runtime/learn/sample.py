"""Sampling of kernels near those of models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from steelyard.hw.base.errors import UsageError
from steelyard.runtime.learn.kernel_families import Config, KernelFamily

SCALE = (0.4, 1.2)
"""Range of a size relative to that of a model or a badly predicted kernel, as in nn-Meter."""

_BATCHES = (1, 1, 2, 4)
_ATTEMPTS = 1000


@dataclass(slots=True)
class Sampler:
    """Sampler of distinct kernels of a family.

    Attributes:
        family: The kernel family.
        shapes: Kernels of models.
        random: The random generator.
        drawn: All kernels drawn so far.
    """

    family: KernelFamily
    shapes: Sequence[Config]
    random: Random
    drawn: set[Config] = field(default_factory=set[Config])

    def from_models(self) -> Config:
        """Draw a kernel of a model, every other time with other sizes.

        Raises:
            UsageError: No new kernel is found.
        """

        def draw() -> Config:
            shape = self.random.choice(self.shapes)
            return shape if self.random.random() < 0.5 else self._other_sizes(shape)

        return self._new(draw)

    def near(self, config: Config) -> Config:
        """Draw a kernel like this one with other sizes.

        Raises:
            UsageError: No new kernel is found.
        """
        return self._new(lambda: self._other_sizes(config))

    def _new(self, draw: Callable[[], Config]) -> Config:
        for _ in range(_ATTEMPTS):
            config = draw()
            if config not in self.drawn and self.family.is_possible(config):
                self.drawn.add(config)
                return config
        raise UsageError(
            what=f"there are too few different kernels of {self.family.name} near those of models",
            why=f"{len(self.drawn)} were found",
            fix="take a smaller --budget, or more kinds",
        )

    def _other_sizes(self, config: Config) -> Config:
        sizes = dict(zip(self.family.sizes, config, strict=True))
        for names in self.family.scaled:
            scale = self.random.uniform(*SCALE)
            # One rounding for all that belong together keeps them equal, or multiples as they were.
            smallest = min(sizes[name] for name in names)
            scaled = max(1, round(smallest * scale))
            for name in names:
                times, rest = divmod(sizes[name], smallest)
                sizes[name] = round(sizes[name] * scale) if rest else times * scaled
        sizes[self.family.batch] *= self.random.choice(_BATCHES)
        return tuple(sizes.values())
