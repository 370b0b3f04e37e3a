"""The parameter learner and the rows it publishes."""
