"""An HTTP server of metrics for Prometheus."""
