"""The entry points that make, check and prepare datasets."""
