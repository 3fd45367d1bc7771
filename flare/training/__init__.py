"""Fitting a network: batches, losses, and one visible loop."""
