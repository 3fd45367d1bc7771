"""Reference forecasts: what every model is compared with."""
