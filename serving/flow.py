"""How much of a body uvicorn takes in before it makes the client wait for the application.

Its 64 KiB are less than one read of the socket brings, so that a client of this machine or network
waits a dozen times for a sample: 2.6 MB then take 3 ms instead of 1 (`benchmarks/README.md`). What
is taken in is handed to the application, which counts it (`BodyLimit`), within the same turn of
the event loop.
"""

from uvicorn.protocols.http import httptools_impl

#: A sample of uint8 and its form; more is copied more often than it saves waiting.
TAKEN_IN_BYTES = 4 * 2**20


def take_in_whole_samples() -> None:
    """Raise uvicorn's limit, for which it has no setting; nothing where it has no such limit."""
    if hasattr(httptools_impl, "HIGH_WATER_LIMIT"):
        httptools_impl.HIGH_WATER_LIMIT = TAKEN_IN_BYTES
