"""Serve the Production version over HTTP: `mlflow run . -e serve -P port=8000`."""

from entrypoints.command import run
from flare.config import ServeConfig


def main(config: ServeConfig) -> None:
    """Serve until stopped."""
    import uvicorn

    from serving.app import create_app
    from serving.settings import read_settings

    settings = read_settings(model_name=config.model_name, poll_seconds=config.poll_seconds)
    uvicorn.run(create_app(settings), host=config.host, port=config.port)


if __name__ == "__main__":
    run("serve", ServeConfig, main)
