"""Verification: the same program measured here beside its prediction."""
