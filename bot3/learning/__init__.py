"""Learning: labels, replay, parameters, feeders, scores and recommendations. Pure functions without I/O."""
