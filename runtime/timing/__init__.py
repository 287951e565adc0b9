"""Timing of code on this machine: steady state, quiet samples, rounds, operands."""
