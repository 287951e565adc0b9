"""Detection of op pairs that an executor fuses, by timing (nn-Meter, MobiSys 2021, section 4)."""
