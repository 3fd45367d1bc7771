"""Resolve a model, forecast many samples, and write tables of forecasts."""
