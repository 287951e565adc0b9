"""Infrastructure of passes: remarks, totals, op building."""
