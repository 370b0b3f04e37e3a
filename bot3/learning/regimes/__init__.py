"""The market's index, and the detector of its regime."""
