"""The `bot3` command, one command group a file."""
