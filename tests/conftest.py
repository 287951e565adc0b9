"""Settings of all tests: machines are shared, so laws are checked however long an example takes."""

import os

from hypothesis import HealthCheck, settings

# Read when torch is loaded: a thread that spins while it waits takes the CPU from what it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")
