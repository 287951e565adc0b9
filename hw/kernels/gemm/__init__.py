"""Matrix products on vector lanes (SIMT) and on tensor cores."""
