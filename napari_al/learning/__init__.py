"""Segmenters: networks, losses, the training loop, probabilities of a pool."""
