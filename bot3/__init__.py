"""What a fleet of trading bots learns from its trades, and the rules that learn it."""
