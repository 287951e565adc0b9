"""Memory capacity: whether a step fits, the largest batch, what would make it fit."""
