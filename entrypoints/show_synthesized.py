"""Print a synthetic dataset: samples by class, and the oracle's scores."""

import math
from typing import TYPE_CHECKING

from rich.table import Table

from entrypoints.show import plain_table, wide_console

if TYPE_CHECKING:
    from flare.verification.scorecard import Scorecard
    from flare.verification.scores import Score
    from flare.workflows.synthesize import Synthesized

_SCORES = ("true_skill_statistic", "brier_skill_score", "roc_area")


def show_synthesized(result: "Synthesized") -> None:
    """Print sizes and classes of both splits, the oracle's scores, and what to do next."""
    from flare.datasets.sdobenchmark.fingerprint import short

    console = wide_console()
    splits = {"training": result.summary.training, "test": result.summary.test}
    classes = list(result.summary.training.classes)
    table = plain_table("split", numbers=["samples", "regions", *classes])
    for name, split in splits.items():
        counts = (str(split.classes[letter]) for letter in classes)
        table.add_row(name, str(split.samples), str(split.regions), *counts)
    console.print(f"SYNTHETIC DATA, difficulty {result.difficulty}: samples by class", style="bold")
    console.print(table)
    console.print(
        "Scores of the oracle, which uses the true flare rates [95 % interval]", style="bold"
    )
    console.print(_oracle_table(result.oracle))
    print(f"{result.summary.path}: fingerprint {short(result.fingerprint)}")
    print(f"next: mlflow run . -e inspect -P data_dir={result.summary.path}")


def _oracle_table(cards: "dict[str, Scorecard]") -> Table:
    table = plain_table("split", "event", numbers=["events", "TSS", "BSS", "ROC area"])
    for split, card in cards.items():
        for event in card.events:
            scores = [card.get(event, name) for name in _SCORES]
            table.add_row(split, event, str(scores[0].n_events), *map(_with_interval, scores))
    return table


def _with_interval(score: "Score") -> str:
    if math.isnan(score.value):
        return "-"
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
