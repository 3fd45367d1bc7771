"""Leaks: the ways in which the answer reaches a model, looked for in a dataset and its splits.

One file per family of checks; all are pure functions of tables and arrays. What each check means
is in ``checks``, and at length in docs/audit.md.
"""
