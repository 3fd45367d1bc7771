"""Train networks on packed rows: their inputs, their first weights, one training or several."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from tqdm import tqdm

from flare.config.network_groups import NetworkOptions, OptimizerOptions
from flare.errors import DeviceMemoryFull
from flare.features.table import FEATURE_NAMES
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import event_outcomes
from flare.models import Network, NetworkConfig, build
from flare.models.normalisation import (
    ChannelNormalisation,
    Normaliser,
    Standardisation,
    fit_standardisation,
    normalisation_from_sums,
)
from flare.seeding import Stream, integer_seed
from flare.training.augment import build_augmentation
from flare.training.batches import Batch, Batches, Rows
from flare.training.distribution import fit_linear_curve
from flare.training.loop import Training
from flare.training.losses import build_loss
from flare.training.processes import (
    any_process,
    defer_signals,
    divide_cores,
    fabric_for,
    keep_freed_memory,
)
from flare.training.sampling import build_sampler, class_weights
from flare.training.state import Checkpoint, EpochRecord, best_record
from flare.workflows.fitting.training_data import TrainingData, features_of

log = logging.getLogger("flare")


@dataclass(frozen=True)
class NetworkInputs:
    """The scales of images and features, and float32 features (N, D) of all rows.

    They are measured once, on all training rows, and shared by the networks of all folds: they use
    no label, and no validation row. ``standardisation`` and ``features`` are None for networks
    without features.
    """

    normalisation: ChannelNormalisation
    standardisation: Standardisation | None
    features: NDArray[np.float32] | None

    @property
    def n_features(self) -> int:
        """Number of features that a network gets with the images."""
        return 0 if self.features is None else self.features.shape[1]


def prepare_inputs(data: TrainingData, options: NetworkOptions) -> NetworkInputs:
    """Measure the scales and compute the features, in rank zero for all processes."""
    fabric = fabric_for(options)
    inputs: NetworkInputs | None = None
    if fabric.is_global_zero:
        rows = data.split.train
        normalisation = normalisation_from_sums(
            data.plane_sums[rows], data.rows.present[rows], pixels=data.pack.image_size**2
        )
        standardisation = features = None
        if options.features:
            used = np.concatenate([rows, data.split.validation])
            table = np.full((len(data.rows), len(FEATURE_NAMES)), np.nan)
            table[used] = features_of(data.rows, "features", used)
            standardisation = fit_standardisation(table[rows])
            features = standardisation(table)
        inputs = NetworkInputs(normalisation, standardisation, features)
    inputs = fabric.broadcast(inputs)
    assert inputs is not None
    return inputs


def train_network(
    data: TrainingData,
    options: NetworkOptions,
    inputs: NetworkInputs,
    *,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
    on_resume: Callable[[Sequence[EpochRecord]], None] = lambda _records: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[NetworkForecaster, EpochRecord]:
    """Train a network on the training rows; return that of the best epoch, and its record.

    ``on_epoch`` is called with every new record; an exception from it ends the training.
    ``on_resume`` is called with the records of a checkpoint that is resumed.

    Raises CheckpointInvalid: the checkpoint is damaged, or of another training.
    """
    rows, patience = data.split.train, options.patience
    with trainer_of(data, inputs, options) as trainer:
        training = trainer.set_up(rows, validation=data.split.validation, checkpoint=checkpoint)
        if training.resumed:
            state = training.state
            log.info("resuming after %d epochs and %d steps", state.epoch, state.step)
            on_resume(training.records)
        with closing(training.fit()) as records:
            while training.epochs_since_best() < patience and (record := next(records, None)):
                on_epoch(record)
        if training.epochs_since_best() >= patience:
            log.info("stopped early: no lower cross-entropy for %d epochs", patience)
    return trainer.forecaster(training, rows), best_record(training.records)


def train_side_by_side(
    data: TrainingData,
    inputs: NetworkInputs,
    parts: Sequence[tuple[Rows, Rows]],
    options: NetworkOptions,
    *,
    on_epoch: Callable[[list[EpochRecord]], None],
) -> list[NetworkForecaster]:
    """Train a network on each part's first rows, an epoch of each in turn; return them all.

    After each epoch ``on_epoch`` gets the records of all networks, each scored on its part's
    second rows; an exception from it ends the trainings. No epoch is chosen by these scores: the
    networks are those of the last epoch. Each is the same as if it were trained alone.
    """
    trainings = []
    with ExitStack() as stack:
        trainer = stack.enter_context(trainer_of(data, inputs, options))
        for rows, left_out in parts:
            training = trainer.set_up(
                rows, validation=left_out, choose_epoch=False, show_progress=False
            )
            trainings.append((training, stack.enter_context(closing(training.fit())), rows))
        for _ in range(options.epochs):
            on_epoch([next(records) for _, records, _ in trainings])
    return [trainer.forecaster(training, rows) for training, _, rows in trainings]


@dataclass(frozen=True)
class Trainer:
    """What trainings on parts of the same rows have in common; ``stop`` is that of a Training."""

    data: TrainingData
    inputs: NetworkInputs
    options: NetworkOptions
    fabric: Fabric
    stop: Callable[[], bool]

    def set_up(
        self,
        rows: Rows,
        *,
        validation: Rows | None = None,
        checkpoint: Checkpoint | None = None,
        choose_epoch: bool = True,
        show_progress: bool = True,
    ) -> Training:
        """Make a network with its first weights, and the training of it on some rows."""
        options, inputs, peak_flux = self.options, self.inputs, self.data.peak_flux[rows]
        torch.manual_seed(integer_seed(options.seed, Stream.WEIGHTS))
        network = build(self._config())
        _set_first_forecast(network, self.data, inputs, rows)
        shown = show_progress and self.fabric.is_global_zero
        return Training(
            network,
            Normaliser(inputs.normalisation),
            train=self._batches(rows),
            validation=None if validation is None else self._batches(validation),
            options=options,
            loss=build_loss(options, peak_flux),
            fabric=self.fabric,
            choose_epoch=choose_epoch,
            augment=build_augmentation(options, inputs.normalisation),
            checkpoint=checkpoint,
            stop=self.stop,
            progress=partial(_progress, epochs=options.epochs, shown=shown),
        )

    def forecaster(self, training: Training, rows: Rows) -> NetworkForecaster:
        """Return the network of the best epoch as a forecaster, without postprocessing."""
        config, data = self._config(), self.data
        with torch.random.fork_rng(devices=[]):
            network = build(config).eval()  # a new one: the trained may have SyncBatchNorm layers
        network.load_state_dict(training.best_weights)
        return NetworkForecaster(
            network,
            config,
            self.inputs.normalisation,
            spec=ForecasterSpec(image_size=data.pack.image_size),
            origin=data.origin,
            postprocessing=PostProcessing(distribution=config.n_quantiles == 0),
            standardisation=self.inputs.standardisation,
            class_sampling_weights=class_weights(self.options, data.peak_flux[rows]),
        )

    def _config(self) -> NetworkConfig:
        options = self.options
        return NetworkConfig(
            architecture=options.architecture,
            width=options.width,
            hidden=options.hidden,
            dropout=options.dropout,
            n_quantiles=options.n_quantiles,
            n_features=self.inputs.n_features,
        )

    def _batches(self, rows: Rows) -> Batches:
        data, options, flux = self.data, self.options, self.data.peak_flux[rows]
        return Batches(
            data.rows.cubes,
            data.rows.present,
            data.peak_flux,
            rows,
            batch_size=options.batch_size,
            seed=options.seed,
            sampler=build_sampler(options, rows, flux, data.active_regions[rows]),
            ids=data.rows.table["id"].tolist(),
            features=self.inputs.features,
        )


@contextmanager
def trainer_of(
    data: TrainingData, inputs: NetworkInputs, options: NetworkOptions
) -> Iterator[Trainer]:
    """Prepare this process for training, and restore its random stream, threads and signals.

    Raises DeviceMemoryFull: the GPU ran out of memory in the block.
    """
    keep_freed_memory()
    fabric = fabric_for(options)
    with (
        torch.random.fork_rng(devices=[]),
        divide_cores(fabric),
        _report_full_memory(options),
        defer_signals() as stop,
    ):
        yield Trainer(data, inputs, options, fabric, stop)
        if any_process(stop(), fabric):  # a signal after the last step; all processes end together
            raise KeyboardInterrupt


def _set_first_forecast(
    network: Network, data: TrainingData, inputs: NetworkInputs, rows: Rows
) -> None:
    """Start the network at the climatology of the rows, and fit its linear terms."""
    peak_flux = data.peak_flux[rows]
    # Half an event and half a non-event more, so that no rate is 0 or 1.
    rates = ((event_outcomes(peak_flux).sum(axis=0) + 0.5) / (len(rows) + 1)).tolist()
    network.heads.start_at(float(np.median(np.log10(peak_flux))), rates)
    if network.heads.linear is not None and inputs.features is not None:
        fit_linear_curve(
            network.heads.linear,
            inputs.features[rows],
            np.log10(peak_flux),
            data.active_regions[rows],
            rates=rates,
        )


@contextmanager
def _report_full_memory(options: OptimizerOptions) -> Iterator[None]:
    """Raise DeviceMemoryFull if a GPU's memory is full, after freeing it."""
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
    # Outside the except block, whose error keeps every tensor of the step in memory.
    torch.cuda.empty_cache()
    raise DeviceMemoryFull(
        f"{reason} with batch_size={options.batch_size}; use a smaller batch_size with a "
        "larger accumulate, a smaller image_size or width, or precision=bf16-mixed"
    )


def _progress(
    batches: Iterable[Batch], epoch: int, total: int, *, epochs: int, shown: bool
) -> Iterator[Batch]:
    title = f"epoch {epoch + 1}/{epochs}"
    disable = None if shown else True  # None: shown on a terminal only
    yield from tqdm(batches, title, total, unit=" batches", leave=False, disable=disable)
