"""Explain one forecast: `mlflow run . -e explain -P input=data/example`."""

from entrypoints.command import run
from entrypoints.show_explanation import show_explanation
from flare.config.explain import ExplainConfig


def main(config: ExplainConfig) -> None:
    """Explain, and print what mattered most."""
    from flare.workflows.explain import run as explain

    show_explanation(explain(config))


if __name__ == "__main__":
    run("explain", ExplainConfig, main)
