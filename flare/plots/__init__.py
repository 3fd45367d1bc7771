"""Figures of forecasts, scores, training and samples: arrays in, a matplotlib Figure out.

Every function makes a Figure of its own and never touches pyplot or rcParams, so nothing is left
open and no figure depends on another. ``style.save`` writes one to disk.
"""
