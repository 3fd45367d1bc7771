"""Download SDOBenchmark from its mirrors, or take an archive from disk.

Mirrors are tried in turn (``sources``), a broken transfer is resumed (``transfer``), only a
dataset's own files are unpacked (``unpack``), and the folder gets its name last (``dataset``).
"""
