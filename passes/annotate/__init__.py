"""Annotation passes: cost, memory and latency of each op."""
