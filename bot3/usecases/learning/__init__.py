"""The steps from closed trades to published parameters, feeder scores and recommendations."""
