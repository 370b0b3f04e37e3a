"""The market regime filter."""
