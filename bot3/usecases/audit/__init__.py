"""The audit of another program's trades: learn from the earlier ones, judge the result on the later ones."""
