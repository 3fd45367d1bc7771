"""Fit a model: training data, networks, cross-validation, registration."""
