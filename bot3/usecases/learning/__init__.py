"""The steps from a closed trade to published parameters."""
