"""The status of a fleet: its bots, their trading states, trades, and the age of data."""
