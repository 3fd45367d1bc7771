"""The images of a sample: their names, their pixels, and arrays uploaded in their place."""
