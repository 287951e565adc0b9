"""Analyses of a program and their cache: call graph, execution, storages, liveness, op facts."""
