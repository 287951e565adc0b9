"""Repeated layers: one captured layer instantiated many times, and outlined functions."""
