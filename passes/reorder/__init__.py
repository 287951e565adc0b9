"""Reordering of ops for a lower memory peak."""
