"""Training of feeders (the models that make signals), their signals, and their shadow trades."""
