"""Dialects: torch operators, program structure, cost annotations, kernels."""
