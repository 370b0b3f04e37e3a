"""Which groups may trade: sequential tests and their reviews."""
