"""The published copy in InfluxDB."""
