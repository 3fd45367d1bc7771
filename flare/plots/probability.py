"""Figures of the probabilities of one event: reliability, ROC, and skill at each threshold."""

from flare.plots.reliability import reliability_diagram
from flare.plots.roc import roc_curve
from flare.plots.thresholds import skill_against_threshold

__all__ = ["reliability_diagram", "roc_curve", "skill_against_threshold"]
