"""Serve the Production version over HTTP: `mlflow run . -e serve -P port=8000`."""

import sys

from entrypoints.command import run
from flare.config import ServeConfig


def main(config: ServeConfig) -> None:
    """Serve until stopped."""
    from serving.__main__ import serve

    # A parameter that was not set leaves the choice to the environment variable.
    defaults = ServeConfig()
    given = {
        name: getattr(config, name)
        for name in ("model_name", "poll_seconds")
        if getattr(config, name) != getattr(defaults, name)
    }
    serve(host=config.host, port=config.port, workers=config.workers, **given)


if __name__ == "__main__":
    try:
        run("serve", ServeConfig, main)
    finally:
        if {"-h", "--help"} & set(sys.argv):
            from serving.settings import settings_help

            print(f"\n{settings_help()}")
