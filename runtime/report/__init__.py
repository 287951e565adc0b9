"""Summaries of annotated programs and their formats."""
