"""Start the server from Python: settings are checked before any process is started."""

import os
import textwrap
from typing import Any

import uvicorn

from serving.http.logs import show_log
from serving.settings import ENV_PREFIX, described, read_settings

_WIDTH = 100


def serve(*, host: str, port: int, workers: int = 1, **given: Any) -> None:
    """Serve until stopped; ``given`` are settings that take precedence over the environment.

    Raises
    ------
    ConfigInvalid
        A setting cannot be used.
    """
    settings = read_settings(**given)
    if settings.threads == 0 and workers > 1:
        # Cores are divided among the processes, not counted in each of them.
        given["threads"] = max(1, settings.cores // workers)
    # Worker processes make the application anew, and read the environment.
    os.environ.update({f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in given.items()})
    show_log(settings)
    uvicorn.run(
        "serving.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_config=None,  # ours, in the supervisor of several workers too
        access_log=False,  # ours is, where it is wanted
    )


def settings_help() -> str:
    """Describe every environment variable, one below the other."""
    lines = ["environment variables (values here are the defaults):"]
    for name, default, description in described():
        lines.append(f"  {name}={default}")
        lines += textwrap.wrap(
            description, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines)
