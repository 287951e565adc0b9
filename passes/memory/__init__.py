"""Memory of a training step: allocator replay, ZeRO sharding, page faults."""
