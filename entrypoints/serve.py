"""Serve the Production version over HTTP: `mlflow run . -e serve -P port=8000`."""

import sys

from entrypoints.command import run
from flare.config import ServeConfig


def main(config: ServeConfig) -> None:
    """Serve until stopped."""
    from serving.launch import serve

    # What was left at its default leaves the word to the environment variable.
    usual = ServeConfig()
    given = {
        name: getattr(config, name)
        for name in ("model_name", "poll_seconds")
        if getattr(config, name) != getattr(usual, name)
    }
    serve(host=config.host, port=config.port, workers=config.workers, **given)


if __name__ == "__main__":
    try:
        run("serve", ServeConfig, main)
    finally:
        if {"-h", "--help"} & set(sys.argv):
            from serving.launch import settings_help

            print(f"\n{settings_help()}")
