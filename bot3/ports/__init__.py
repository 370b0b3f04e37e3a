"""What the platform needs of the world: Protocols, one noun a file."""
