"""Profiles of ops measured here, and their transfer between devices."""
