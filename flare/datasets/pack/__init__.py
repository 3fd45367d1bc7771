"""A dataset decoded once into a large file per split: how it is written and read."""
