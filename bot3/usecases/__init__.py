"""What the platform does, on ports."""
