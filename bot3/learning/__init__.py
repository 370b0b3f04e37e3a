"""What to try next: labels, replay, parameters, feeders, scores, recommendations. Pure."""
