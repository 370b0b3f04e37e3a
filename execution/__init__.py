"""The execution daemon."""
