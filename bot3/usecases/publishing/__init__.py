"""Copying the record to InfluxDB and files, and comparing the copies."""
