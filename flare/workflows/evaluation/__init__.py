"""Score versions of a model, compare them, and describe them."""
