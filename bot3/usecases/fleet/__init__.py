"""The status of a fleet: bots, states, trades, data ages."""
