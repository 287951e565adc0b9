"""Executors: one process, torchrun, Inductor."""
