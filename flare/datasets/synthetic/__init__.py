"""Synthetic active regions in SDOBenchmark's layout, with labels that depend on what images show.

From latent regions (``region``) and their flares (``flares``) to fields and loops (``field``),
images (``atmosphere``, ``render``) and files (``write``).
"""

from flare.datasets.synthetic.write import SyntheticSummary, synthesize

__all__ = ["SyntheticSummary", "synthesize"]
