"""The copy of the record (the platform's own database) in InfluxDB, which other processes read."""
