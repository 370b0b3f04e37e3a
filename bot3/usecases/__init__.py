"""Use cases of the platform, on ports."""
