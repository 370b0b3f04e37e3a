"""The Dagster assets, one per file, each with its checks."""
