"""The IR: dialects, capture, op semantics, analyses, emission."""
