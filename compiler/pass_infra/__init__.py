"""Infrastructure of passes: contracts, remarks, totals, op building."""
