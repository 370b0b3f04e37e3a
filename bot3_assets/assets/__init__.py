"""Assets, one noun a file, with their checks below them."""
