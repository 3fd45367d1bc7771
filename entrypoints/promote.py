"""Move the alias Production: `mlflow run . -e promote -P version=2`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from entrypoints.command import run
from flare.config import PromoteConfig

if TYPE_CHECKING:
    from flare.tracking.promotions import Promotion


def main(config: PromoteConfig) -> None:
    """Promote and print the Production version; or print the history of Production."""
    from flare.workflows import promote

    if config.version == "history":
        show_history(config.model_name, promote.history(config))
    else:
        print("\n".join(promote.run(config).lines()))


def show_history(name: str, history: "Sequence[Promotion]") -> None:
    """Print all promotions of a registered model, the oldest first."""
    if not history:
        print(f"no version of {name} was promoted yet; run `mlflow run . -e promote`")
    for one in history:
        before = "nothing" if one.before is None else f"version {one.before}"
        move = "rolled back" if one.rollback else "promoted"
        print(f"{one.at}  {one.who}  {move} from {before} to version {one.version}: {one.why}")
        for whose, score in one.scores.items():
            value, low, high = (
                "-" if score[key] is None else f"{score[key]:.3f}"
                for key in ("value", "low", "high")
            )
            print(f"    {whose}: {score['event']} {score['name']} {value} [{low}, {high}]")


if __name__ == "__main__":
    run("promote", PromoteConfig, main)
