"""Copying the record's published values and trades to InfluxDB and to files, and comparing the copy with the record."""
