"""The one sequence that annotates a program for a target, its passes, and the base of all passes."""
