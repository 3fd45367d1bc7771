"""The production model: where it comes from, following new versions, running it."""
