"""Models that have a name: configurations of transformers, published or in a file, and vision libraries."""
