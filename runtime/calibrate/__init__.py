"""Calibration of device files from microbenchmarks or measured tables."""
