"""Active regions that never were, in SDOBenchmark's layout, with labels that their images explain.

From latent regions (``region``) and their flares (``labels``) to fields (``field``), loops
(``loops``), images (``atmosphere``, ``render``) and files (``write``).
"""

from flare.datasets.synthetic.write import SplitSummary, SyntheticSummary, synthesize

__all__ = ["SplitSummary", "SyntheticSummary", "synthesize"]
