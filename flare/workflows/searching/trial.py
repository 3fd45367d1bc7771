"""One trial: a forecaster fitted on each fold's other regions, scored out of fold, and logged."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from flare.config import BaselineConfig, TrainConfig
from flare.config.search import SearchConfig
from flare.errors import DeviceMemoryFull, TrainingDiverged, VerificationInvalid
from flare.forecast import Forecast
from flare.search_space import Space
from flare.tracking.child_runs import start_child
from flare.tracking.runs import Run
from flare.tracking.tags import (
    ENTRY_TAG,
    ERROR_TAG,
    KIND_TAG,
    PRUNED_TAG,
    STATE_TAG,
    STUDY_TAG,
    TRIAL_TAG,
)
from flare.training.processes import return_freed_memory
from flare.training.state import EpochRecord
from flare.verification.scores import Score
from flare.workflows.fitting.cross_validation import (
    OutOfFoldForecasts,
    Rows,
    forecast_rows,
    log_out_of_fold,
    training_folds,
)
from flare.workflows.fitting.forest import fit_rows, forest_settings, training_features
from flare.workflows.fitting.network import train_side_by_side
from flare.workflows.fitting.network_inputs import NetworkInputs, prepare_inputs
from flare.workflows.fitting.training_data import TrainingData, log_part, training_rows
from flare.workflows.searching.objective import Objective, calibrated, score
from flare.workflows.searching.space import (
    Values,
    entry_config,
    pack_dir_of,
    parameters_of,
    suggest,
)
from flare.workflows.searching.storage import patiently, shown_storage
from flare.workflows.searching.study import SharedStudy, set_trial_run

log = logging.getLogger("flare")

#: What ends a trial alone, and not the search; the last one, a trial that was counted as lost.
TRIAL_ERRORS = (
    TrainingDiverged,
    DeviceMemoryFull,
    MemoryError,
    VerificationInvalid,
    UpdateFinishedTrialError,
)


class TrialData:
    """The training rows, folds, scales and features of each image size, loaded once."""

    def __init__(self, config: SearchConfig, data: TrainingData) -> None:
        self._config = config
        self._opened = {config.image_size: data}
        folds = training_folds(data, config.folds, seed=config.split_seed)
        assert folds is not None
        self.folds = folds
        self.inputs = cache(self._inputs)
        self.features = cache(self._features)

    def rows(self, image_size: int) -> TrainingData:
        """Return the data at an image size; the pack of a new size is made."""
        if image_size not in self._opened:
            changed = {"image_size": image_size, "pack_dir": pack_dir_of(self._config, image_size)}
            self._opened[image_size] = training_rows(self._config.model_copy(update=changed))
        return self._opened[image_size]

    def _inputs(self, image_size: int) -> NetworkInputs:
        return prepare_inputs(
            self.rows(image_size), TrainConfig(accelerator=self._config.accelerator)
        )

    def _features(self, image_size: int) -> NDArray[np.float64]:
        return training_features(self.rows(image_size))


class Trials:
    """Runs the trials of one study in this process."""

    def __init__(
        self,
        config: SearchConfig,
        model: str,
        space: Space,
        objectives: Sequence[Objective],
        data: TrialData,
    ) -> None:
        self._config, self._model, self._space = config, model, space
        self._objectives, self._data = objectives, data
        self._stop: Callable[[], bool] = lambda: False

    def run(
        self,
        study: SharedStudy,
        trial: optuna.Trial,
        parent_id: str,
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run one trial below the study's MLflow run; its own errors end it alone.

        ``stop`` says whether Ctrl-C was pressed; networks look themselves.
        """
        self._stop = stop
        about = {
            ENTRY_TAG: "trial",
            KIND_TAG: self._model,
            STUDY_TAG: study.name,
            TRIAL_TAG: trial.number,
            STATE_TAG: "RUNNING",
        }
        with study.alive(trial):
            try:
                values = study.ask_storage(lambda: suggest(trial, self._space))
                with start_child(
                    parent_id,
                    name=f"trial {trial.number}",
                    params=parameters_of(values, self._config),
                    tags=about,
                ) as run:
                    self._run(study, trial, run, values)
            except TRIAL_ERRORS as error:
                log.warning("trial %d failed: %s", trial.number, error)
                study.tell(trial, TrialState.FAIL)
            except KeyboardInterrupt:
                study.stop(trial)
                raise
            except BaseException:
                study.tell(trial, TrialState.FAIL)
                raise
            finally:
                return_freed_memory()  # trials are of very different sizes

    def _run(self, study: SharedStudy, trial: optuna.Trial, run: Run, values: Values) -> None:
        try:
            study.ask_storage(lambda: set_trial_run(trial, run.id))
            data = self._data.rows(int(parameters_of(values, self._config)["image_size"]))
            log_part(run, data, self._config.data_dir, "training")
            forecasts = self._forecasts(trial, run, data, values)
            scores = [_defined(score(forecasts, data, one)) for one in self._objectives]
            run.log_metrics({f"out_of_fold/{one.event}/{one.name}": one.value for one in scores})
            log_out_of_fold(run, forecasts, data)
            counted = study.tell(trial, TrialState.COMPLETE, [one.value for one in scores])
            run.set_tags({STATE_TAG: (TrialState.COMPLETE if counted else TrialState.FAIL).name})
            if not counted:
                run.set_tags({ERROR_TAG: "its process was lost"})  # or too slow to say otherwise
                run.status = "FAILED"
        except optuna.TrialPruned as pruned:
            run.set_tags({STATE_TAG: TrialState.PRUNED.name, PRUNED_TAG: str(pruned)})
            run.status = "KILLED"
            study.tell(trial, TrialState.PRUNED)
        except BaseException:
            complete = study.state(trial) == TrialState.COMPLETE  # Ctrl-C may come after it
            run.set_tags({STATE_TAG: (TrialState.COMPLETE if complete else TrialState.FAIL).name})
            raise

    def _forecasts(
        self, trial: optuna.Trial, run: Run, data: TrainingData, values: Values
    ) -> OutOfFoldForecasts:
        """Return calibrated out-of-fold forecasts; an epoch may raise TrialPruned."""
        settings = entry_config(self._model, values, self._config)
        if isinstance(settings, BaselineConfig):
            return calibrated(self._forest(data, settings), data, distribution=False)
        forecasts = self._networks(trial, run, data, settings)
        return calibrated(forecasts, data, distribution=settings.head == "distribution")

    def _forest(self, data: TrainingData, settings: BaselineConfig) -> OutOfFoldForecasts:
        features = self._data.features(data.pack.image_size)
        parameters, seed = forest_settings(settings), settings.seed
        pieces = []
        for known, rest in self._parts(data):
            if self._stop():
                raise KeyboardInterrupt
            forest = fit_rows(features, data, known, parameters, seed=seed)
            pieces.append(forest.predict_features(features[rest]))
        return self._in_order(data, pieces)

    def _parts(self, data: TrainingData) -> list[tuple[Rows, Rows]]:
        """Return the training rows without each fold, and those of the fold."""
        folds, rows = self._data.folds, data.split.train
        return [(rows[folds != fold], rows[folds == fold]) for fold in range(folds.max() + 1)]

    def _in_order(self, data: TrainingData, pieces: list[Forecast]) -> OutOfFoldForecasts:
        """Put the forecasts of all folds into the order of the training rows."""
        folds = self._data.folds
        order = np.argsort(np.argsort(folds, kind="stable"))
        forecast = Forecast.concatenate(pieces).take(order)
        return OutOfFoldForecasts(data.split.train, folds, forecast)

    def _networks(
        self, trial: optuna.Trial, run: Run, data: TrainingData, settings: TrainConfig
    ) -> OutOfFoldForecasts:
        """Train the networks of all folds together, and report each epoch."""
        options = settings.model_copy(
            update={"epochs": self._config.trial_epochs, "patience": self._config.trial_epochs}
        )
        parts = self._parts(data)
        weights = [len(rest) for _, rest in parts]

        def report(records: list[EpochRecord]) -> None:
            run.log_metrics(_mean_metrics(records, weights), step=records[0].epoch + 1)
            if len(self._objectives) > 1:
                return
            watched = [self._objectives[0].while_training(record) for record in records]
            value = float(np.average(watched, weights=weights))
            epoch, storage = records[0].epoch + 1, shown_storage(self._config.storage)
            patiently(lambda: trial.report(value, epoch), storage)
            if epoch < options.epochs and patiently(trial.should_prune, storage):
                raise optuna.TrialPruned(
                    f"after epoch {epoch} of {options.epochs}, at {value:.4f} out of fold"
                )

        networks = train_side_by_side(
            data, self._data.inputs(data.pack.image_size), parts, options, on_epoch=report
        )
        pieces = [
            forecast_rows(network, data.rows, rest, title="out of fold")
            for network, (_, rest) in zip(networks, parts, strict=True)
        ]
        return self._in_order(data, pieces)


def _defined(one: Score) -> Score:
    if math.isnan(one.value):
        raise VerificationInvalid(
            f"{one.event} {one.name} is undefined: the training regions have no such event"
        )
    return one


def _mean_metrics(records: Sequence[EpochRecord], weights: Sequence[int]) -> dict[str, float]:
    """Return the mean of the networks' metrics of an epoch, by the samples of their folds."""
    metrics = [record.metrics() for record in records]
    shared: Mapping[str, float] = metrics[0]
    return {
        name.replace("/validation/", "/out_of_fold/"): float(
            np.average([one[name] for one in metrics], weights=weights)
        )
        for name in shared
        if all(name in one for one in metrics)
    }
