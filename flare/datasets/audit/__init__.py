"""Check a dataset and its splits for leaks: the ways in which the answer can reach a model.

One file per family of checks; all are pure functions of tables and arrays. The meaning of each
check is in ``checks``, and at length in docs/audit.md.
"""
