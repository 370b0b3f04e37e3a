"""The control store: trading states, commands, notices, heartbeats, the market clock."""
