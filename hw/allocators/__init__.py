"""Device and host memory allocators, replayed block by block."""
