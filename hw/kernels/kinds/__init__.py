"""Recipes of kernel kinds, one file a kind: dims, features, dispatch, grid and model."""
