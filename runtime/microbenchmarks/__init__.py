"""Microbenchmarks of kernels for calibration and learning."""
