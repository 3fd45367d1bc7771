"""Entry point ``synthesize``: a synthetic dataset in SDOBenchmark's layout."""

from dataclasses import dataclass

import pandas as pd

from flare.config import SynthesizeConfig
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import SPLITS, read_table
from flare.datasets.synthetic import SyntheticSummary
from flare.forecasters.references.oracle import oracle_of
from flare.tracking.run import log_data
from flare.tracking.runs import start
from flare.tracking.tags import SCORE_TABLE
from flare.verification.inputs import Observations
from flare.verification.scorecard import HEADLINE_SCORES, Scorecard, score_forecasts
from flare.verification.table import score_rows
from flare.workflows.evaluation.comparison import ORACLE
from flare.workflows.fitting.training_data import make_synthetic


@dataclass(frozen=True)
class Synthesized:
    """Sizes and fingerprint of a synthetic dataset, and the scores of its oracle by split."""

    summary: SyntheticSummary
    fingerprint: str
    difficulty: str
    oracle: dict[str, Scorecard]


def run(config: SynthesizeConfig) -> Synthesized:
    """Make the dataset, score its oracle, and log both."""
    with start("synthesize", name=f"synthesize {config.data_dir.name}") as tracked:
        tracked.log_config(config)
        summary = make_synthetic(config)
        fingerprint = content_fingerprint(config.data_dir)
        log_data(
            tracked,
            name="synthetic",
            fingerprint=fingerprint,
            source=str(config.data_dir),
            synthetic=True,
            context="synthesized",
            profile={"training": summary.training.samples, "test": summary.test.samples},
        )
        oracle = _score_oracle(config)
        for split, card in oracle.items():
            for event, name in HEADLINE_SCORES:
                tracked.log_metrics(card.get(event, name).metrics(split, of=ORACLE))
        rows = [
            row
            for split, card in oracle.items()
            for row in score_rows(card.scores, split=split, forecaster=ORACLE)
        ]
        tracked.log_table(pd.DataFrame(rows), SCORE_TABLE)
    return Synthesized(summary, fingerprint, config.difficulty, oracle)


def _score_oracle(config: SynthesizeConfig) -> dict[str, Scorecard]:
    tables = {split: read_table(config.data_dir, split) for split in SPLITS}
    cards = {}
    for split, table in tables.items():
        forecast = oracle_of(config.data_dir, table, tables["training"])
        if forecast is not None:
            cards[split] = score_forecasts(forecast, Observations.from_table(table))
    return cards
