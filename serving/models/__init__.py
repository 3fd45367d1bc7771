"""The production model: where it comes from, how it is followed, and how it forecasts."""
