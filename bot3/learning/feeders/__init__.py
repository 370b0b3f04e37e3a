"""The ten signal feeders: features, labels, training, scores."""
