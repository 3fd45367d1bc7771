"""Benchmarks, each with a peer in the same run: see README.md."""
