"""The assets, one per file, each with its checks below it."""
