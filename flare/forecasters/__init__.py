"""Models in production: objects that forecast from cubes, and the folders they are saved in."""
