"""Rematerialization and offload of activations and optimizer state under a memory budget."""
