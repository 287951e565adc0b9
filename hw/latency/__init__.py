"""The latency ladder, one rung a file: measured, interpolated, fitted, analytic, roofline."""
