"""Measurements beside a peer, in one run: see README.md."""
