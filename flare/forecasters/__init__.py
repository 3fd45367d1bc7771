"""What production runs: a folder on disk and an object that forecasts, and the way between."""
