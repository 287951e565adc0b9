"""Which pairs of ops an executor runs as one kernel, found by timing them (nn-Meter, MobiSys'21)."""
