"""What applies to every request: access, limits, errors, the log, connections."""
