"""Kernels limited by memory: elementwise, softmax, layer norm, streams."""
