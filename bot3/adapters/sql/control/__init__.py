"""The control database: states, commands, notices, heartbeats."""
