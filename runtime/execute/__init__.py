"""Executors: one process, one a rank, Inductor."""
