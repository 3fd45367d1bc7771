"""Gather today's images, forecast the regions, and write the forecasts in several forms."""
