"""Synthetic active regions in SDOBenchmark's layout, with labels that depend on what images show.

From latent regions (``region``) and their flares (``flares``) to magnetic concentrations
(``sources``), fields (``field``), loops (``loops``), images (``atmosphere``, ``render``) and files
(``write``).
"""

from flare.datasets.synthetic.write import SplitSummary, SyntheticSummary, synthesize

__all__ = ["SplitSummary", "SyntheticSummary", "synthesize"]
