"""Entry point ``search``: an Optuna study for a model, and the model that its best trial gives.

The same command continues a study, and on another machine with the same storage it joins one. The
validation regions are not used by the trials, and the test split is never opened.
"""

from collections.abc import Sequence

import pandas as pd

from flare.config.search import SearchConfig
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.store import connect
from flare.tracking.tags import STUDY_TAG
from flare.workflows.fitting.training_data import training_rows
from flare.workflows.searching.model_search import ModelSearch, SearchResult
from flare.workflows.searching.objective import paired_difference
from flare.workflows.searching.space import MODELS
from flare.workflows.searching.storage import quiet_optuna
from flare.workflows.searching.summary import StudyResult


def run(config: SearchConfig) -> SearchResult:
    """Search the model, or all of them one after the other, and compare the winners."""
    quiet_optuna()
    connect(make=True)
    if config.model != "all":
        return ModelSearch(config, config.model).run()
    with start("search", name=f"search {config.study}: all models") as outer:
        outer.set_tags({STUDY_TAG: config.study})
        results = [ModelSearch(config, model).run() for model in MODELS]
        studies = tuple(one for result in results for one in result.studies)
        lines = tuple(compare_models(outer, studies, config)) if len(studies) > 1 else ()
    trained = tuple(one for result in results for one in result.trained)
    joined = tuple(line for result in results for line in result.joined)
    return SearchResult(studies, trained, lines, joined)


def compare_models(outer: Run, studies: Sequence[StudyResult], config: SearchConfig) -> list[str]:
    """Compare the winners of all models with the best of them, and log the table."""
    sign = 1 if studies[0].objective.lower_is_better else -1
    ordered = sorted(studies, key=lambda one: sign * one.value.value)
    first, rows, lines = ordered[0], [], []
    data = training_rows(config)
    for one in ordered:
        row = {"model": one.model, "trial": one.best.number, **vars(one.value)}
        line = f"{one.model}: {one.objective.title} {one.value.text('.4f')}"
        if one is not first and one.forecasts is not None and first.forecasts is not None:
            difference = paired_difference(
                one.forecasts, first.forecasts, data, one.objective, resamples=config.resamples
            )
            row |= {
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
            line += f", minus {first.model} {difference.text('.4f')}"
        rows.append(row)
        lines.append(line)
    outer.log_text(pd.DataFrame(rows).to_csv(index=False), "models.csv")
    outer.describe("\n\n".join(lines))
    return lines
