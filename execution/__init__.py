"""The execution daemon, which places and manages the orders of the platform's own bots."""
