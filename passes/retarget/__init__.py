"""Replacement of one device's kernels by those of another."""
