"""Entry point ``search``: an Optuna study over the forest and the CNN; every trial is a child run.

The study is in a journal file, so it can be stopped and continued, and several processes can work
on it at once. The objective is the validation Brier skill score of M1.0; the test split is never
opened.
"""

import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState

from flare.config import SearchConfig
from flare.config.network_groups import NetworkOptions
from flare.errors import ConfigInvalid, DeviceMemoryFull, TrainingDiverged, VerificationInvalid
from flare.files import check_folder
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.forest import fit_forest
from flare.goes import HEADLINE_EVENT, event_outcomes
from flare.plots.training import search_history
from flare.seeding import Stream, integer_seed
from flare.tracking.runs import Run, start
from flare.tracking.tags import ENTRY_TAG, KIND_TAG
from flare.training.state import EpochRecord
from flare.verification.probabilistic import brier_skill_score
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.network import NetworkInputs, prepare_inputs, train_network
from flare.workflows.fitting.training_data import (
    TrainingData,
    features_of,
    mark_if_synthetic,
    training_data,
)

log = logging.getLogger("flare")


@dataclass(frozen=True)
class SearchResult:
    """The best trial of a study: its value, and the command that trains with its parameters."""

    study_name: str
    trials: int
    value: float
    synthetic: bool
    command: str

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
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
        self._options = NetworkOptions(
            epochs=config.epochs, patience=config.epochs, seed=config.seed
        )

    @cached_property
    def _inputs(self) -> NetworkInputs:
        return prepare_inputs(self._data, self._options)

    @cached_property
    def _features(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Features of the training and of the validation rows."""
        data, split = self._data, self._data.split
        training = features_of(data.rows, "features of train", split.train)
        return training, features_of(data.rows, "features of validation", split.validation)

    def __call__(self, trial: optuna.Trial) -> float:
        """Run a trial; log it as a child run even if it fails."""
        started = time.time()
        family: str = self._config.family
        if family == "both":
            family = trial.suggest_categorical("family", ["forest", "cnn"])
        epochs: list[tuple[float, EpochRecord]] = []  # with the times of their ends
        scores: dict[str, float] = {}
        status = "FAILED"
        try:
            value = self._forest(trial) if family == "forest" else self._cnn(trial, epochs)
            scores[_OBJECTIVE] = value
            status = "FINISHED"
        except (optuna.TrialPruned, KeyboardInterrupt):
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
        training, validation = self._features
        forest = fit_forest(
            training,
            data.peak_flux[split.train],
            spec=ForecasterSpec(image_size=data.pack.image_size),
            origin=data.origin,
            n_trees=trial.suggest_int("trees", 100, 500, step=100),
            min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 20, log=True),
            max_features=trial.suggest_float("max_features", 0.05, 1.0, log=True),
            seed=self._config.seed,
        )
        forecast = forest.predict_features(validation)
        flux = data.peak_flux[split.validation]
        outcomes = event_outcomes(flux, (HEADLINE_EVENT,))[:, 0]
        return float(brier_skill_score(outcomes, forecast.probability_of(HEADLINE_EVENT)))

    def _cnn(self, trial: optuna.Trial, epochs: list[tuple[float, EpochRecord]]) -> float:
        suggested: dict[str, Any] = {
            "width": trial.suggest_categorical("width", [8, 16, 24]),
            "hidden": trial.suggest_categorical("hidden", [32, 64, 128]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "batch_size": trial.suggest_categorical("batch_size", [8, 16, 32]),
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-4, 0.1, log=True),
        }
        options = self._options.model_copy(update=suggested)

        def report(record: EpochRecord) -> None:
            epochs.append((time.time(), record))
            trial.report(record.brier_skill_score, record.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        _, best = train_network(self._data, options, self._inputs, on_epoch=report)
        return best.brier_skill_score


_OBJECTIVE = f"validation/{HEADLINE_EVENT}/brier_skill_score"


def run(config: SearchConfig) -> SearchResult:
    """Add trials to the study, and log it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would repeat the errors of trials
    check_folder(config.study_file.parent, "study_file")
    name = f"search {config.family}: {config.study_name}"
    with start("search", name=name, watch=True) as tracked:
        log_environment(tracked)
        tracked.log_config(config)
        data = training_data(config, tracked)
        study = _study(config, f"{config.study_name}-{config.family}-{_conditions(config, data)}")
        # Too high a learning rate or too large a batch ends its own trial, not the study.
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
                "event or only events; change validation_share or the dataset"
            )
        tracked.log_metrics({_OBJECTIVE: study.best_value, "trials": len(study.trials)})
        history = search_history(
            [trial.number for trial in done],
            [float(trial.value or 0) for trial in done],
            objective=_OBJECTIVE,
        )
        tracked.log_figure(mark_if_synthetic(history, data.pack), "figures/search_history.png")
        table = study.trials_dataframe(attrs=("number", "value", "state", "params"))
        tracked.log_text(table.to_csv(index=False), "trials.csv")
        command = _command(study.best_params, config)
        tracked.describe(f"Best trial: {study.best_value:.3f}\n\n```\n{command}\n```")
    return SearchResult(
        study.study_name, len(study.trials), study.best_value, data.pack.synthetic, command
    )


def _conditions(config: SearchConfig, data: TrainingData) -> str:
    """Hash what comparable trials share: data, image size, split, seed, epochs."""
    shared = [data.pack.fingerprint, data.pack.image_size, data.split.fingerprint, config.seed]
    if config.family != "forest":
        shared.append(config.epochs)
    return hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:8]


def _study(config: SearchConfig, name: str) -> optuna.Study:
    """Open the study; its name contains a hash of what must not change between its trials."""
    storage = open_study_file(config.study_file)
    existing = {summary.study_name for summary in optuna.get_all_study_summaries(storage)}
    # With the same seed, the sampler of a continued study would repeat its first trials.
    before = 0
    if name in existing:
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
    defaults = SearchConfig()
    for key in ("data_dir", "image_size", "validation_share", "split_seed", "model_name", "seed"):
        if getattr(config, key) != getattr(defaults, key):
            chosen[key] = getattr(config, key)
    pairs = (f"-P {key}={value}" for key, value in chosen.items())
    return f"mlflow run . -e {entry} " + " ".join(pairs)


def open_study_file(path: Path) -> JournalStorage:
    """Open or make the journal file of a study; a truncated last line is removed.

    Raises
    ------
    ConfigInvalid
        Another line is damaged, Optuna cannot apply a record, or the file is not a study.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = _Backend(path)
    backend.remove_truncated_line()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not _is_record(line):
                raise ConfigInvalid(
                    f"study_file={path}: line {number} is damaged or not a record of a study; "
                    "restore a backup, or give another study_file"
                )
    try:
        return JournalStorage(backend)  # applies every record
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        raise ConfigInvalid(
            f"study_file={path}: Optuna cannot apply one of its records "
            f"({type(error).__name__}: {error}); restore a backup, or give another study_file"
        ) from error


class _Backend(JournalFileBackend):
    """Optuna's journal file, without lines that a killed process truncated.

    Optuna appends to such a line, and can then read no study in the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records, after removing a truncated one."""
        self.remove_truncated_line()
        super().append_logs(logs)

    def remove_truncated_line(self) -> None:
        """Remove a last line without an end, or end it if it is a whole record."""
        if _ends_with_newline(self._path):
            return
        lock = JournalFileSymlinkLock(str(self._path))
        lock.acquire()  # another process may be writing this line
        try:
            if _ends_with_newline(self._path):
                return
            content = self._path.read_bytes()
            last = content[content.rfind(b"\n") + 1 :]
            with self._path.open("r+b") as file:
                if _is_record(last):
                    file.seek(0, os.SEEK_END)
                    file.write(b"\n")
                else:
                    file.truncate(len(content) - len(last))
                    log.warning("removed the last line of %s, which was truncated", self._path)
        finally:
            lock.release()


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _is_record(line: bytes) -> bool:
    try:
        return "op_code" in dict(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return False
