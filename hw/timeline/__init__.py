"""Timelines: what runs at the same time on different resources, and what waits for what."""
