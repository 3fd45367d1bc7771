"""Verification of forecasts in the field's terms: NumPy in, numbers with intervals out.

The scores are plain functions; ``scorecard.score_forecasts`` computes all of them at once with
intervals over active regions, and ``table`` renders the result.
"""
