"""``python -m serving``: the server with a command line; ``--help`` lists all settings."""

import argparse
import os
import signal
import sys
from typing import Any

import uvicorn

from flare.errors import FlareError
from serving.http.connections import Protocol
from serving.http.request_log import set_up_log
from serving.settings import ENV_PREFIX, read_settings, settings_help


def serve(*, host: str, port: int, workers: int = 1, **given: Any) -> None:
    """Serve until stopped; settings in ``given`` take precedence over the environment.

    Raises ConfigInvalid: a setting cannot be used.
    """
    settings = read_settings(**given)
    if settings.threads == 0 and workers > 1:
        # Divide the cores among the processes.
        given["threads"] = max(1, settings.cores // workers)
    # Each worker process makes its own application, and reads the environment.
    os.environ.update({f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in given.items()})
    set_up_log(settings)
    uvicorn.run(
        "serving.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=Protocol,
        log_config=None,  # `set_up_log` configures it, also for the supervisor of several workers
        access_log=False,  # `RequestLog` writes it
    )


def main() -> None:
    """Parse the command line, and serve until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the Production version over HTTP, and follow it.",
        epilog=settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port (8000); 0: any free one")
    parser.add_argument("--workers", type=int, default=1, help="server processes (1)")
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        parser.error(f"--port {options.port}: must be between 0 and 65535")
    if options.workers < 1:
        parser.error(f"--workers {options.workers}: must be at least 1")
    # Uvicorn finishes the requests that it accepted, and then raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(host=options.host, port=options.port, workers=options.workers)
    except FlareError as error:
        parser.exit(2, f"serving: {error}\n")


if __name__ == "__main__":
    main()
