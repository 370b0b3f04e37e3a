"""What a fleet of trading bots learns, and what is learned from it."""
