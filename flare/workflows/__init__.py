"""One function per entry point: config in, result out."""
