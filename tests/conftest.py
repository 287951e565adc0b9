"""Laws are checked however long an example takes: machines are shared."""

from hypothesis import HealthCheck, settings

settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")
