"""Every score of a run in one table, a row a score; metrics are the headline alone."""

from collections.abc import Iterable, Mapping

import pandas as pd

from flare.tracking.runs import Run
from flare.verification.scores import Score
from flare.workflows.evaluation.comparison import ALL, Comparison

#: Its name among a run's artifacts; ``mlflow.load_table`` reads those of several runs at once.
SCORE_TABLE = "scores.json"


def log_scores(run: Run, rows: Iterable[Mapping[str, object]]) -> None:
    """Store rows, as ``score_rows`` returns them, as the table of scores of a run."""
    run.log_table(pd.DataFrame(list(rows)), SCORE_TABLE)


def score_rows(
    scores: Iterable[Score], *, split: str, forecaster: str, subset: str = ALL
) -> list[dict[str, object]]:
    """Return a row for each score: split, event, score, forecaster, subset, value and interval."""
    return [
        {
            "split": split,
            "event": one.event,
            "score": one.name,
            "forecaster": forecaster,
            "subset": subset,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "n_events": one.n_events,
        }
        for one in scores
    ]


def comparison_rows(comparison: Comparison, split: str) -> list[dict[str, object]]:
    """Return the rows of all forecasters, subsets and paired differences of a comparison."""
    parts = {**comparison.subsets, ALL: comparison.scorecards}
    rows = [
        row
        for subset, cards in parts.items()
        for name, card in cards.items()
        for row in score_rows(card.scores, split=split, forecaster=name, subset=subset)
    ]
    for name, scores in comparison.against.items():
        rows += score_rows(scores, split=split, forecaster=f"{comparison.model} - {name}")
    return rows
