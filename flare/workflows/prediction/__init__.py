"""Forecast with a model: which one is meant, many samples, the table of forecasts."""
