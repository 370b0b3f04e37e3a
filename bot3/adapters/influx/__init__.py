"""The copy of the record (the platform's own database) in InfluxDB, for other programs."""
