"""Entry point ``search``: an Optuna study over the forest and the CNN; every trial is a child run.

The study lives in a journal file, so it can be stopped and continued, and several processes can
work on it at once. The objective is the validation Brier skill score of M1.0; the test split is
never opened.
"""

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from flare.config import SearchConfig
from flare.errors import DeviceMemoryFull, TrainingDiverged, VerificationInvalid
from flare.files import check_folder
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import fit_forest
from flare.goes import EVENTS, HEADLINE_EVENT, event_outcomes
from flare.models import NetworkConfig
from flare.plots.training import search_history
from flare.seeding import Stream, integer_seed
from flare.tracking.runs import Run, start
from flare.tracking.tags import ENTRY_TAG, KIND_TAG
from flare.training.objective import Objective
from flare.training.precision import chosen_precision
from flare.training.records import EpochRecord
from flare.training.settings import FitSettings
from flare.verification.probabilistic import brier_skill_score
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.network import kept, prepared, train_network
from flare.workflows.fitting.network_inputs import NetworkInputs
from flare.workflows.fitting.network_settings import NetworkSettings
from flare.workflows.fitting.row_features import features_of
from flare.workflows.fitting.study_file import open_study_file
from flare.workflows.fitting.training_data import TrainingData, marked, training_data

log = logging.getLogger("flare")


@dataclass(frozen=True)
class Found:
    """The best trial of a study: its value and how to train with its settings."""

    study_name: str
    trials: int
    value: float
    synthetic: bool
    command: str

    def lines(self) -> list[str]:
        """Return what to tell the user."""
        synthetic = "synthetic " if self.synthetic else ""
        return [
            f"study {self.study_name}: {self.trials} trials, "
            f"best {synthetic}validation {HEADLINE_EVENT} BSS {self.value:.3f}",
            f"train and register it: {self.command}",
        ]


class StudyObjective:
    """Fit one trial's forecaster and return its validation Brier skill score of M1.0."""

    def __init__(self, config: SearchConfig, data: TrainingData, tracked: Run) -> None:
        self._config, self._data, self._run = config, data, tracked
        self._inputs: NetworkInputs | None = None
        self._features: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}

    def __call__(self, trial: optuna.Trial) -> float:
        """Run a trial; log it as a child run whatever its end."""
        started = time.time()
        family: str = self._config.family
        if family == "both":
            family = trial.suggest_categorical("family", ["forest", "cnn"])
        epochs: list[tuple[float, EpochRecord]] = []  # with the time at which each ended
        scores: dict[str, float] = {}
        status = "FAILED"
        try:
            value = self._forest(trial) if family == "forest" else self._cnn(trial, epochs)
            scores[_OBJECTIVE] = value
            status = "FINISHED"
        except optuna.TrialPruned:
            status = "KILLED"
            raise
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            self._run.log_child(
                name=f"trial {trial.number}: {family}",
                params=trial.params,
                metrics=[(when, record.metrics()) for when, record in epochs],
                scores=scores,
                tags={ENTRY_TAG: "trial", KIND_TAG: family, "flare.trial": trial.number},
                status=status,
                started=started,
            )
        log.info("trial %d: %s, %s BSS %+.3f", trial.number, family, HEADLINE_EVENT, value)
        return value

    def _forest(self, trial: optuna.Trial) -> float:
        data, split = self._data, self._data.split
        if not self._features:
            for part, rows in (("train", split.train), ("validation", split.validation)):
                self._features[part] = features_of(data.rows, f"features of {part}", rows)
        forest = fit_forest(
            self._features["train"],
            data.peak_flux[split.train],
            spec=ForecasterSpec(image_size=data.pack.image_size),
            origin=data.origin,
            n_trees=trial.suggest_int("trees", 100, 500, step=100),
            min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 20, log=True),
            max_features=trial.suggest_float("max_features", 0.05, 1.0, log=True),
            seed=self._config.seed,
        )
        forecast = forest.predict_features(self._features["validation"])
        flux = data.peak_flux[split.validation]
        happened = event_outcomes(flux, (HEADLINE_EVENT,))[:, 0]
        return float(brier_skill_score(happened, forecast.probability_of(HEADLINE_EVENT)))

    def _cnn(self, trial: optuna.Trial, epochs: list[tuple[float, EpochRecord]]) -> float:
        settings = NetworkSettings(
            network=NetworkConfig(
                width=trial.suggest_categorical("width", [8, 16, 24]),
                hidden=trial.suggest_categorical("hidden", [32, 64, 128]),
                dropout=trial.suggest_float("dropout", 0.0, 0.5),
                n_events=len(EVENTS),
                n_quantiles=Objective().n_quantiles,
            ),
            fit=FitSettings(
                epochs=self._config.epochs,
                batch_size=trial.suggest_categorical("batch_size", [8, 16, 32]),
                learning_rate=trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
                weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.1, log=True),
                patience=self._config.epochs,
                precision=chosen_precision("auto", "auto"),
            ),
            seed=self._config.seed,
        )

        def report(record: EpochRecord) -> None:
            epochs.append((time.time(), record))
            trial.report(record.brier_skill_score, record.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        if self._inputs is None:
            self._inputs = prepared(self._data, settings)
        train_network(self._data, settings, inputs=self._inputs, on_epoch=report)
        return kept([record for _, record in epochs]).brier_skill_score


_OBJECTIVE = f"validation/{HEADLINE_EVENT}/brier_skill_score"


def run(config: SearchConfig) -> Found:
    """Add trials to the study, and log it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would retell what trials raise
    check_folder(config.study_file.parent, "study_file")
    name = f"search {config.family}: {config.study_name}"
    with start("search", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        data = training_data(config, tracked)
        study = _study(config, f"{config.study_name}-{config.family}-{_conditions(config, data)}")
        # A wild learning rate or too large a batch ends its own trial, not the nights around it.
        study.optimize(
            StudyObjective(config, data, tracked),
            n_trials=config.trials,
            catch=(TrainingDiverged, DeviceMemoryFull),
        )
        done = [trial for trial in study.trials if trial.value is not None]
        if not any(trial.state == TrialState.COMPLETE for trial in done):
            raise VerificationInvalid(
                f"none of the {len(study.trials)} trials of study {study.study_name} has a value: "
                f"all diverged or filled the GPU's memory, or validation has no {HEADLINE_EVENT} "
                "event or nothing else; change validation_share or the dataset"
            )
        tracked.log_metrics({_OBJECTIVE: study.best_value, "trials": len(study.trials)})
        history = search_history(
            [trial.number for trial in done],
            [float(trial.value or 0) for trial in done],
            objective=_OBJECTIVE,
        )
        tracked.log_figure(marked(history, data.pack), "figures/search_history.png")
        table = study.trials_dataframe(attrs=("number", "value", "state", "params"))
        tracked.log_text(table.to_csv(index=False), "trials.csv")
        command = _command(study.best_params, config)
        tracked.describe(f"Best trial: {study.best_value:.3f}\n\n```\n{command}\n```")
    return Found(
        study.study_name, len(study.trials), study.best_value, data.pack.synthetic, command
    )


def _conditions(config: SearchConfig, data: TrainingData) -> str:
    """Hash what trials must share to be comparable: data, pixels, split, seed, epochs."""
    shared = [data.pack.fingerprint, data.pack.image_size, data.split.fingerprint, config.seed]
    if config.family != "forest":
        shared.append(config.epochs)
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:8]


def _study(config: SearchConfig, name: str) -> optuna.Study:
    """Open the study; its name holds what must not change between its trials."""
    storage = open_study_file(config.study_file)
    already = {summary.study_name for summary in optuna.get_all_study_summaries(storage)}
    # Continued with the same seed, the sampler would suggest its first trials once more.
    before = 0
    if name in already:
        before = len(optuna.load_study(study_name=name, storage=storage).trials)
        log.info("continuing study %s with %d trials", name, before)
    return optuna.create_study(
        study_name=name,
        storage=storage,
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(
            seed=integer_seed(config.seed, Stream.SEARCH, before), n_startup_trials=6
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )


def _command(best: dict[str, Any], config: SearchConfig) -> str:
    chosen = dict(best)
    family = chosen.pop("family", config.family)
    entry = "baseline" if family == "forest" else "train"
    if entry == "train":
        chosen["epochs"] = chosen["patience"] = config.epochs
    usual = SearchConfig()
    for key in ("data_dir", "image_size", "validation_share", "split_seed", "model_name", "seed"):
        if getattr(config, key) != getattr(usual, key):
            chosen[key] = getattr(config, key)
    pairs = (f"-P {key}={value}" for key, value in chosen.items())
    return f"mlflow run . -e {entry} " + " ".join(pairs)
