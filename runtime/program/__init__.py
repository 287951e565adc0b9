"""From a SPEC to an annotated program; parsing of pass pipelines."""
