"""What is fitted after training: calibration, thresholds and the interval of the flux."""
