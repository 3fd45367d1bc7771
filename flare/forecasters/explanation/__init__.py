"""Explain one forecast: which images, places and features it rests on."""
