"""Fusion of pointwise ops into kernels: legality and the pass."""
