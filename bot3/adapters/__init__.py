"""Technology behind ports, one module a technology and port."""
