"""Cost of one op on a device: kernel queries, latency, workspace."""
