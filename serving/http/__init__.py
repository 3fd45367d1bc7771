"""What concerns every request, whatever it asks: access, limits, errors, logs, the protocol."""
