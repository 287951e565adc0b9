"""Devices: one TOML file per SKU, its schema, and what follows from it (units, rates, SM limits)."""
