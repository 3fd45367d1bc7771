"""Cubes become tables of image statistics and magnetic proxies with stable column names."""
