"""Decisions on annotated IR, a room per family."""
