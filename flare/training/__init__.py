"""Train a network: losses, sampling, augmentation, and one visible loop."""
