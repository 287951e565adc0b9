"""Latency staircases over one kernel dim (Tang et al., MLSys 2021)."""
