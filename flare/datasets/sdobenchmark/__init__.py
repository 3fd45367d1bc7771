"""SDOBenchmark's layout: the table of labels, the images of a sample, counts and fingerprint."""
