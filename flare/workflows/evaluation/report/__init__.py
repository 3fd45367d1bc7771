"""The report of an evaluation: its content, its figures, and its formats."""
