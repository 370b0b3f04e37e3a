"""Trading rules: signals, costs, exits, sizing, decisions and matching. Pure functions without I/O."""
