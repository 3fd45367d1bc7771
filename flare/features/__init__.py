"""Named image statistics and magnetogram proxies of cubes."""
