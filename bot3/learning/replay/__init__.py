"""Replay of closed trades under every stop and target."""
