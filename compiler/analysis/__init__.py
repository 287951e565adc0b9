"""Analyses of a program: call graph, storages, liveness, op facts."""
