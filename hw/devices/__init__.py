"""One TOML file per device SKU."""
