"""Steelyard weighs deep-learning models before anyone pays for the hardware, then balances them."""

__version__ = "0.1.0"
