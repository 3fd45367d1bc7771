"""Postprocessing: calibration, thresholds and the interval of the flux, fitted after training."""
