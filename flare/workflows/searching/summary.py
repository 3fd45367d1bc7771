"""The result of a study: the best trial compared with the defaults, figures, a table of trials."""

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as drawing

from flare.config.groups import text_of
from flare.config.search import SearchConfig
from flare.errors import TrackingUnavailable, VerificationInvalid
from flare.goes import EVENTS
from flare.tracking.run import Run
from flare.verification.scores import Score
from flare.workflows.fitting.cross_validation import (
    OUT_OF_FOLD_TABLE,
    OutOfFoldForecasts,
    read_out_of_fold,
)
from flare.workflows.fitting.training_data import TrainingData, mark_if_synthetic
from flare.workflows.searching.objective import Objective, paired_difference, score
from flare.workflows.searching.study import RUN, SharedStudy

log = logging.getLogger("flare")

#: Parameters in figures with a panel for each, and for each pair.
_SHOWN, _CONTOURED = 8, 3
_SIZES = {"slices": (20, 5), "contours": (12, 10), "parallel_coordinates": (14, 6)}


@dataclass(frozen=True)
class StudyResult:
    """The best trial of a study, and its scores compared with those of the defaults.

    ``difference`` is the score of the best trial minus that of the defaults, with the interval of
    the difference; it and ``defaults`` are None where the defaults have no finished trial, and
    ``difference`` is where the best trial is that of the defaults. ``saved`` is the share of the
    epochs that pruning saved.
    """

    study: str
    model: str
    objective: Objective
    counts: dict[str, int]
    saved: float
    best: FrozenTrial
    value: Score
    forecasts: OutOfFoldForecasts | None
    defaults: Score | None
    difference: Score | None
    synthetic: bool

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        synthetic = "synthetic " if self.synthetic else ""
        better = "lower" if self.objective.lower_is_better else "higher"
        lines = [
            f"study {self.study}: {state_text(self.counts)}"
            + (f"; pruning saved {self.saved:.0%} of the epochs" if self.saved else ""),
            f"best, trial {self.best.number}: {synthetic}out-of-fold {self.objective.title} "
            f"{self.value.text('.4f')} ({better} is better; {self.value.n} samples, chosen "
            f"from {self.counts.get('COMPLETE', 0)} trials)",
        ]
        if self.defaults is not None:
            lines.append(f"defaults, trial 0: {self.defaults.text('.4f')}; {self._verdict()}")
        return lines

    def _verdict(self) -> str:
        if self.difference is None:
            return "no trial was better than the defaults"
        words = f"the best minus the defaults {self.difference.text('.4f')}"
        low, high = self.difference.low, self.difference.high
        apart = high < 0 if self.objective.lower_is_better else low > 0
        if apart:
            return f"{words}: better than the defaults"
        return f"{words}: no better than the defaults, as far as these regions can tell"

    def metrics(self) -> dict[str, float]:
        """Return the scores, the paired difference and the counts under MLflow's names."""
        metrics = self.value.metrics("out_of_fold")
        if self.difference is not None:
            metrics |= self.difference.metrics("out_of_fold")
        if self.defaults is not None:
            path = f"out_of_fold/{self.objective.event}/{self.objective.name}"
            metrics[f"{path}/defaults"] = self.defaults.value
        metrics |= {f"trials/{state.lower()}": float(n) for state, n in self.counts.items()}
        return {name: value for name, value in metrics.items() if np.isfinite(value)}


def counts_by_state(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """Return how many trials are in each state, by its name; states without any are left out."""
    counts = Counter(trial.state for trial in trials)
    return {state.name: counts[state] for state in TrialState if counts[state]}


def state_text(counts: Mapping[str, int]) -> str:
    """Return counts by state as text."""
    return ", ".join(f"{n} {state.lower()}" for state, n in counts.items())


def best_trial(trials: Sequence[FrozenTrial], objective: Objective) -> FrozenTrial | None:
    """Return the complete trial with the best first value; None without one."""
    complete = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and np.isfinite(trial.values[0])
    ]
    sign = 1 if objective.lower_is_better else -1
    return min(complete, key=lambda trial: sign * trial.values[0], default=None)


def summarise(
    study: SharedStudy,
    model: str,
    objective: Objective,
    data: TrainingData,
    config: SearchConfig,
) -> StudyResult:
    """Compare the best trial with the defaults, by the forecasts that their runs have.

    Raises VerificationInvalid: no trial is complete, or none has a defined score.
    """
    trials = study.trials()
    best = best_trial(trials, objective)
    if best is None:
        raise VerificationInvalid(
            f"none of the {len(trials)} trials of study {study.name} has a value "
            f"({state_text(counts_by_state(trials))}); see the trials' runs in MLflow for what "
            "failed, or run the same command again for those that wait"
        )
    # Without its forecasts a score has no interval.
    n, undefined = len(data.split.train), float("nan")
    value = Score(objective.event, objective.name, best.values[0], undefined, undefined, n, 0)
    forecasts = _read_forecasts(best, data)
    if forecasts is not None:
        value = score(forecasts, data, objective, resamples=config.resamples)
    defaults = difference = None
    first = next((one for one in trials if one.number == 0), None)
    if first is not None and first.state == TrialState.COMPLETE:
        of_defaults = _read_forecasts(first, data)
        if of_defaults is not None:
            defaults = score(of_defaults, data, objective, resamples=config.resamples)
            if forecasts is not None and best.number != 0:
                difference = paired_difference(
                    forecasts, of_defaults, data, objective, resamples=config.resamples
                )
    return StudyResult(
        study.name,
        model,
        objective,
        counts_by_state(trials),
        _share_saved(trials, config.trial_epochs),
        best,
        value,
        forecasts,
        defaults,
        difference,
        data.pack.synthetic,
    )


def _read_forecasts(trial: FrozenTrial, data: TrainingData) -> OutOfFoldForecasts | None:
    """Return the calibrated out-of-fold forecasts of a trial; None where its run has none."""
    rows = data.split.train
    ids = data.rows.table.iloc[rows]["id"].astype(str).tolist()
    stored = None
    with suppress(TrackingUnavailable):  # a score without an interval is better than no result
        stored = read_out_of_fold(trial.user_attrs.get(RUN), ids, EVENTS)
    if stored is None:
        log.warning("the run of trial %d has no %s", trial.number, OUT_OF_FOLD_TABLE)
        return None
    forecast, folds = stored
    return OutOfFoldForecasts(rows, folds, replace(forecast, thresholds=dict.fromkeys(EVENTS, 0.5)))


def _share_saved(trials: Sequence[FrozenTrial], epochs: int) -> float:
    """Return the share of the epochs that pruning saved, 0 to 1."""
    finished = [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if not any(one.intermediate_values for one in finished):
        return 0.0
    done = sum(max(one.intermediate_values, default=epochs) for one in finished)
    return 1 - done / (epochs * len(finished))


def log_summary(run: Run, study: SharedStudy, result: StudyResult, data: TrainingData) -> None:
    """Log the best parameters and value, the counts, figures and a table of the trials."""
    run.log_metrics(result.metrics())
    run.set_tags({f"best/{name}": text_of(value) for name, value in result.best.params.items()})
    loaded = study.study
    values = "value" if len(loaded.directions) == 1 else "values"
    table = loaded.trials_dataframe(
        attrs=("number", values, "state", "datetime_start", "duration", "params")
    )
    of_scores = [name for name in table if str(name).startswith("value")]
    table.loc[table["state"] != TrialState.COMPLETE.name, of_scores] = np.nan  # what pruners saw
    run.log_text(table.to_csv(index=False), "trials.csv")
    for name, figure in _figures(loaded, result.objective):
        run.log_figure(mark_if_synthetic(figure, data.pack), f"figures/{name}.png")
        plt.close(figure)
    run.describe("\n\n".join(result.lines()))


def _figures(study: optuna.Study, objective: Objective) -> list[tuple[str, Figure]]:
    """Draw Optuna's figures, those with a panel for each parameter of the most important ones."""
    several = len(study.directions) > 1
    target = (lambda trial: trial.values[0]) if several else None
    about: dict[str, Any] = {"target": target, "target_name": objective.title}
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    makers: dict[str, Callable[[], object]] = {
        "optimization_history": lambda: drawing.plot_optimization_history(study, **about)
    }
    if several:
        makers["pareto_front"] = lambda: drawing.plot_pareto_front(study)
    else:
        makers["intermediate_values"] = lambda: drawing.plot_intermediate_values(study)
    figures = []
    with warnings.catch_warnings(), plt.rc_context():
        warnings.simplefilter("ignore")
        if len(complete) > 1 and len({name for trial in complete for name in trial.params}) > 1:
            most = list(optuna.importance.get_param_importances(study, target=target))
            shown, crossed = most[:_SHOWN], most[:_CONTOURED]
            makers |= {
                "parameter_importances": lambda: drawing.plot_param_importances(study, **about),
                "parallel_coordinates": lambda: drawing.plot_parallel_coordinate(
                    study, params=shown, **about
                ),
                "slices": lambda: drawing.plot_slice(study, params=shown, **about),
                "contours": lambda: drawing.plot_contour(study, params=crossed, **about),
            }
        for name, make in makers.items():
            axes = np.ravel(np.asarray(make(), dtype=object))[0]
            figure = axes.figure
            figure.set_size_inches(*_SIZES.get(name, (8, 5)))
            if name == "intermediate_values" and axes.get_legend() is not None:
                axes.get_legend().remove()  # a line for each trial
            if name == "parameter_importances":
                figure.subplots_adjust(left=0.25)  # Optuna leaves no room for the names
            figures.append((name, figure))
    return figures
