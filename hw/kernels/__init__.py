"""Analytic kernel models, a room per family, and the registry of kinds."""
