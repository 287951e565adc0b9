"""Emission of programs to executable forms."""
