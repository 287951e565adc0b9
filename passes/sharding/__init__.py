"""SPMD partitioning over a device mesh by data or tensor parallelism."""
