"""Bytes on disk become arrays: readers, packs, splits and the synthetic Sun."""
