"""Outlining of repeated regions into functions, and inlining."""
