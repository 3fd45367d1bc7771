"""``python -m serving``: the server with a command line; ``--help`` lists all settings."""

import argparse
import signal
import sys

from flare.errors import FlareError
from serving.launch import serve, settings_help


def main() -> None:
    """Parse, and serve until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the Production version over HTTP, and follow it.",
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port (8000); 0: any free one")
    parser.add_argument("--workers", type=int, default=1, help="server processes (1)")
    given = parser.parse_args()
    if not 0 <= given.port <= 65535:
        parser.error(f"--port {given.port}: ports run from 0 to 65535")
    if given.workers < 1:
        parser.error(f"--workers {given.workers}: there must be one at least")
    # Uvicorn finishes what it accepted, and then raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(host=given.host, port=given.port, workers=given.workers)
    except FlareError as error:
        parser.exit(2, f"serving: {error}\n")


if __name__ == "__main__":
    main()
