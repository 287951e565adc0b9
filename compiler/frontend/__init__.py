"""Capture of PyTorch models into the IR; the only part of the compiler that imports torch."""
