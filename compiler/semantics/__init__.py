"""The work of each op: iteration spaces and accesses, from which every cost derives."""

# Importing a family enters its rules.
from steelyard.compiler.semantics import contraction as contraction
from steelyard.compiler.semantics import pointwise as pointwise
