"""Which pairs of ops an executor runs as one kernel, found by timing (nn-Meter, MobiSys 2021, section 4)."""
