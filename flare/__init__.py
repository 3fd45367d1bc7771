"""Train, compare, promote and serve solar-flare forecasts from SDO image sequences."""

__version__ = "0.1.0"
