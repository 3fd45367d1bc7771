"""From the body of a request to checked samples."""
