"""Solvers: integer programs and min-cut; the only place that talks to a solver library."""
