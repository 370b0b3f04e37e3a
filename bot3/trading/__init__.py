"""What a trade is: signals, costs, exits, sizing, decisions, matching. Pure."""
