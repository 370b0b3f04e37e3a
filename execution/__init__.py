"""The execution daemon, which places and manages the bots' orders."""
