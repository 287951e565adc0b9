"""From a SPEC to a model and its inputs; the only part of the compiler that imports torch."""
