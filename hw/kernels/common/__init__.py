"""Shared parts of kernel models: model protocol, launch grid, dispatch, memory system, power limit."""
