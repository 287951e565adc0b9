"""Vocabulary of the hardware layer: errors, units, quantities, kernel work, kernel kinds, error bands."""
