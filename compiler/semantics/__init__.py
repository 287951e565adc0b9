"""The work of each op: iteration spaces and indexing maps, from which every cost derives."""

from steelyard.compiler.semantics import ops as ops
