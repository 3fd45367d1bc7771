"""One trial: a forecaster fitted on each fold's other regions, scored out of fold, and logged."""

import logging
import math
from collections.abc import Callable, Sequence
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
from flare.tracking.run import Run
from flare.tracking.runs import start_child
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
from flare.workflows.fitting.network import NetworkInputs, prepare_inputs, train_side_by_side
from flare.workflows.fitting.training_data import TrainingData, log_part, training_rows
from flare.workflows.searching.objective import calibrated, objectives_of, score
from flare.workflows.searching.space import (
    Values,
    entry_config,
    pack_dir_of,
    parameters_of,
    space_of,
    suggest,
)
from flare.workflows.searching.study import RUN, SharedStudy

log = logging.getLogger("flare")

#: What ends a trial alone, and not the search; the last one, a trial that was counted as lost.
TRIAL_ERRORS = (
    TrainingDiverged,
    DeviceMemoryFull,
    MemoryError,
    VerificationInvalid,
    UpdateFinishedTrialError,
)


class Trials:
    """Runs the trials of one model in this process; loads the data of each image size once."""

    def __init__(self, config: SearchConfig, model: str, data: TrainingData) -> None:
        self._config, self._model = config, model
        self.space = space_of(model, config)
        self.objectives = objectives_of(config.objective)
        folds = training_folds(data, config.folds, seed=config.split_seed)
        assert folds is not None
        self._folds = folds
        self._opened = {config.image_size: data}
        self._inputs = cache(self._measure_inputs)
        self._features = cache(self._compute_features)
        self._stop: Callable[[], bool] = lambda: False

    def _data(self, image_size: int) -> TrainingData:
        """Return the data at an image size; the pack of a new size is made."""
        if image_size not in self._opened:
            changed = {"image_size": image_size, "pack_dir": pack_dir_of(self._config, image_size)}
            self._opened[image_size] = training_rows(self._config.model_copy(update=changed))
        return self._opened[image_size]

    def _measure_inputs(self, image_size: int) -> NetworkInputs:
        options = TrainConfig(accelerator=self._config.accelerator)
        return prepare_inputs(self._data(image_size), options)

    def _compute_features(self, image_size: int) -> NDArray[np.float64]:
        return training_features(self._data(image_size))

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
        tags = {
            ENTRY_TAG: "trial",
            KIND_TAG: self._model,
            STUDY_TAG: study.name,
            TRIAL_TAG: trial.number,
            STATE_TAG: "RUNNING",
        }
        with study.alive(trial):
            try:
                values = study.ask_storage(lambda: suggest(trial, self.space))
                params = parameters_of(values, self._config)
                name = f"trial {trial.number}"
                with start_child(parent_id, name=name, params=params, tags=tags) as run:
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
            study.ask_storage(lambda: trial.set_user_attr(RUN, run.id))
            settings = entry_config(self._model, values, self._config)
            data = self._data(settings.image_size)
            log_part(run, data, self._config.data_dir, "training")
            forecasts = self._forecasts(study, trial, run, data, settings)
            scores = [_defined(score(forecasts, data, one)) for one in self.objectives]
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
        self,
        study: SharedStudy,
        trial: optuna.Trial,
        run: Run,
        data: TrainingData,
        settings: BaselineConfig | TrainConfig,
    ) -> OutOfFoldForecasts:
        """Return calibrated out-of-fold forecasts; an epoch may raise TrialPruned."""
        rows, folds = data.split.train, self._folds
        parts = [(rows[folds != fold], rows[folds == fold]) for fold in range(folds.max() + 1)]
        if isinstance(settings, BaselineConfig):
            pieces, distribution = self._forests(data, settings, parts), False
        else:
            distribution = settings.head == "distribution"
            pieces = self._networks(study, trial, run, data, settings, parts)
        order = np.argsort(np.argsort(folds, kind="stable"))  # from folds to training rows
        forecast = Forecast.concatenate(pieces).take(order)
        forecasts = OutOfFoldForecasts(rows, folds, forecast)
        return calibrated(forecasts, data, distribution=distribution)

    def _forests(
        self, data: TrainingData, settings: BaselineConfig, parts: Sequence[tuple[Rows, Rows]]
    ) -> list[Forecast]:
        features, parameters = self._features(data.pack.image_size), forest_settings(settings)
        pieces = []
        for known, left_out in parts:
            if self._stop():
                raise KeyboardInterrupt
            forest = fit_rows(features, data, known, parameters, seed=settings.seed)
            pieces.append(forest.predict_features(features[left_out]))
        return pieces

    def _networks(
        self,
        study: SharedStudy,
        trial: optuna.Trial,
        run: Run,
        data: TrainingData,
        settings: TrainConfig,
        parts: Sequence[tuple[Rows, Rows]],
    ) -> list[Forecast]:
        """Train the networks of all folds together, and report each epoch."""
        epochs = self._config.trial_epochs
        options = settings.model_copy(update={"epochs": epochs, "patience": epochs})
        weights = [len(left_out) for _, left_out in parts]

        def report(records: list[EpochRecord]) -> None:
            epoch = records[0].epoch + 1
            run.log_metrics(_mean_metrics(records, weights), step=epoch)
            if len(self.objectives) > 1:
                return
            watched = [self.objectives[0].while_training(record) for record in records]
            value = float(np.average(watched, weights=weights))
            study.ask_storage(lambda: trial.report(value, epoch))
            if epoch < epochs and study.ask_storage(trial.should_prune):
                raise optuna.TrialPruned(
                    f"after epoch {epoch} of {epochs}, at {value:.4f} out of fold"
                )

        inputs = self._inputs(data.pack.image_size)
        networks = train_side_by_side(data, inputs, parts, options, on_epoch=report)
        return [
            forecast_rows(network, data.rows, left_out, title="out of fold")
            for network, (_, left_out) in zip(networks, parts, strict=True)
        ]


def _defined(one: Score) -> Score:
    if math.isnan(one.value):
        raise VerificationInvalid(
            f"{one.event} {one.name} is undefined: the training regions have no such event"
        )
    return one


def _mean_metrics(records: Sequence[EpochRecord], weights: Sequence[int]) -> dict[str, float]:
    """Return the mean of the networks' metrics of an epoch, by the samples of their folds."""
    metrics = [record.metrics() for record in records]
    return {
        name.replace("/validation/", "/out_of_fold/"): float(
            np.average([one[name] for one in metrics], weights=weights)
        )
        for name in metrics[0]
        if all(name in one for one in metrics)
    }
