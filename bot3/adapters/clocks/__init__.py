"""The wall clock and the market clock."""
