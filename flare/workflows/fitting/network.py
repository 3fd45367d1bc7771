"""Networks on packed rows: train one and keep its best epoch, and others like it on folds."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from tqdm import tqdm

from flare.errors import DeviceMemoryFull
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import event_outcomes
from flare.models import build
from flare.models.network import Network
from flare.models.normalisation import Normaliser
from flare.seeding import Stream, integer_seed
from flare.training.allocator import keep_freed_memory
from flare.training.augment import build_augmentation
from flare.training.batches import Batch, Batches
from flare.training.checkpoint import Checkpoint, State
from flare.training.interruption import held_back
from flare.training.linear_curve import fit_linear_curve
from flare.training.loop import fit
from flare.training.losses import build_loss
from flare.training.processes import fabric_for, shared_cores
from flare.training.records import EpochRecord, TrainingState
from flare.training.sampling import build_sampler, class_weights
from flare.training.validating import any_process
from flare.workflows.fitting.checkpoints import identity
from flare.workflows.fitting.cross_validation import Rows
from flare.workflows.fitting.network_inputs import NetworkInputs, prepare_inputs
from flare.workflows.fitting.network_settings import NetworkSettings
from flare.workflows.fitting.training_data import TrainingData

log = logging.getLogger("flare")


def train_network(
    data: TrainingData,
    settings: NetworkSettings,
    *,
    inputs: NetworkInputs | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda _record: None,
    on_resumed: Callable[[Sequence[EpochRecord]], None] = lambda _records: None,
    checkpoints: Path | None = None,
) -> NetworkForecaster:
    """Train a network on the training rows; return the epoch of the lowest cross-entropy.

    Parameters
    ----------
    inputs
        What ``prepare_inputs`` made of the data; None: it is made here.
    on_epoch
        Sees every record as it comes; what it raises ends the training.
    on_resumed
        Sees the records that were there already, where a training goes on.
    checkpoints
        Folder for the state of the training, which goes on from one that lies there.

    Raises
    ------
    CheckpointInvalid
        What lies there is damaged, or of another training.
    """
    inputs = prepared(data, settings) if inputs is None else inputs
    checkpoint = checkpoint_of(checkpoints, "network", data, data.split.train, settings)
    with _begun(data, inputs, data.split.train, settings, checkpoint) as begun:
        if begun.state is not None:
            _tell_where(begun.standing)
            on_resumed(tuple(begun.standing.records))
        held = _batches(data, inputs, data.split.validation, settings)
        patience = settings.fit.patience
        with closing(_epochs(begun, data, settings, validation=held)) as records:
            while begun.standing.since_best() < patience and (record := next(records, None)):
                on_epoch(record)
        if begun.standing.since_best() >= patience:
            log.info("no lower cross-entropy for %d epochs: stopped", patience)
    return _finished(begun, data, settings)


def prepared(data: TrainingData, settings: NetworkSettings) -> NetworkInputs:
    """Prepare what networks of these settings are given of the data."""
    return prepare_inputs(data, fabric_for(settings.fit), features=settings.features)


def train_for(
    data: TrainingData,
    inputs: NetworkInputs,
    rows: Rows,
    settings: NetworkSettings,
    checkpoint: Checkpoint | None,
    *,
    epochs: int,
) -> NetworkForecaster:
    """Train a network on some rows, the first of all its epochs, with nothing held out."""
    with (
        _begun(data, inputs, rows, settings, checkpoint) as begun,
        closing(_epochs(begun, data, settings, validation=None)) as records,
    ):
        while begun.standing.epoch < epochs:
            next(records)
    return _finished(begun, data, settings)


@dataclass(frozen=True)
class _Begun:
    """A network with its first weights or those of a checkpoint, and what it is trained on."""

    network: Network
    inputs: NetworkInputs
    rows: Rows
    fabric: Fabric
    checkpoint: Checkpoint | None
    state: State | None
    standing: TrainingState
    stop: Callable[[], bool]


@contextmanager
def _begun(
    data: TrainingData,
    inputs: NetworkInputs,
    rows: Rows,
    settings: NetworkSettings,
    checkpoint: Checkpoint | None,
) -> Iterator[_Begun]:
    """Begin or go on; torch's own random stream, its threads and Ctrl-C are afterwards as before.

    What is read is told by the first process to the others.

    Raises
    ------
    DeviceMemoryFull
        The GPU has too little memory, in whatever the block does.
    """
    keep_freed_memory()
    fabric = fabric_for(settings.fit)
    known = checkpoint.load() if checkpoint is not None and fabric.is_global_zero else None
    state: State | None = fabric.broadcast(known)
    with (
        torch.random.fork_rng(devices=[]),
        shared_cores(fabric),
        _full_memory_named(settings),
        held_back() as stop,
    ):
        torch.manual_seed(integer_seed(settings.seed, Stream.WEIGHTS))
        network = build(replace(settings.network, n_features=inputs.n_features))
        log10_flux, rates = _climatology(data.peak_flux[rows])
        network.start_at(log10_flux, rates)
        if network.heads.linear is not None and inputs.features is not None and state is None:
            fit_linear_curve(
                network.heads.linear,
                inputs.features[rows],
                np.log10(data.peak_flux[rows]),
                data.active_regions[rows],
                rates=rates,
            )
        standing = TrainingState.of(None if state is None else state["standing"])
        yield _Begun(network, inputs, rows, fabric, checkpoint, state, standing, stop)
        if any_process(stop(), fabric):  # after the last step's check; all processes end together
            raise KeyboardInterrupt


@contextmanager
def _full_memory_named(settings: NetworkSettings) -> Iterator[None]:
    """Raise DeviceMemoryFull where a GPU's memory is full, and give it back."""
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
    # Not within the except, whose error keeps every tensor of the step in memory.
    torch.cuda.empty_cache()
    raise DeviceMemoryFull(
        f"{reason} with batch_size={settings.fit.batch_size}; use a smaller batch_size with a "
        "larger accumulate, a smaller image_size or width, or precision=bf16-mixed"
    )


def _epochs(
    begun: _Begun, data: TrainingData, settings: NetworkSettings, *, validation: Batches | None
) -> Generator[EpochRecord]:
    return fit(
        begun.network,
        Normaliser(begun.inputs.normalisation),
        train=_batches(data, begun.inputs, begun.rows, settings),
        validation=validation,
        settings=settings.fit,
        loss=build_loss(settings.objective, data.peak_flux[begun.rows]),
        fabric=begun.fabric,
        augment=build_augmentation(settings.objective, begun.inputs.normalisation),
        standing=begun.standing,
        resume_from=begun.state,
        save=begun.checkpoint.save if begun.checkpoint is not None else lambda _state: None,
        stop=begun.stop,
        progress=_progress(settings.fit.epochs, shown=begun.fabric.is_global_zero),
    )


def _finished(begun: _Begun, data: TrainingData, settings: NetworkSettings) -> NetworkForecaster:
    assert begun.standing.kept_weights is not None
    begun.network.to("cpu").eval()
    begun.network.load_state_dict(begun.standing.kept_weights)
    return NetworkForecaster(
        begun.network,
        replace(settings.network, n_features=begun.inputs.n_features),
        begun.inputs.normalisation,
        spec=ForecasterSpec(image_size=data.pack.image_size),
        origin=data.origin,
        postprocessing=PostProcessing(distribution=settings.network.n_quantiles == 0),
        standardisation=begun.inputs.standardisation,
        class_sampling_weights=class_weights(settings.objective, data.peak_flux[begun.rows]),
    )


def _climatology(peak_flux: NDArray[np.float64]) -> tuple[float, list[float]]:
    """Return the median log10 flux and the rate of each event, never quite 0 or 1."""
    happened = event_outcomes(peak_flux).sum(axis=0)
    rates = (happened + 0.5) / (len(peak_flux) + 1)
    return float(np.median(np.log10(peak_flux))), [float(rate) for rate in rates]


def kept(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the record whose weights ``train_network`` keeps, of the lowest cross-entropy."""
    return [record for record in records if record.best][-1]


def _batches(
    data: TrainingData, inputs: NetworkInputs, rows: NDArray[np.intp], settings: NetworkSettings
) -> Batches:
    return Batches(
        data.rows.cubes,
        data.rows.present,
        data.peak_flux,
        rows,
        batch_size=settings.fit.batch_size,
        seed=settings.seed,
        sampler=build_sampler(
            settings.objective, rows, data.peak_flux[rows], data.active_regions[rows]
        ),
        ids=data.rows.table["id"].tolist(),
        features=inputs.features,
    )


def checkpoint_of(
    folder: Path | None, name: str, data: TrainingData, rows: Rows, settings: NetworkSettings
) -> Checkpoint | None:
    """Return where the state of a training on some rows lies; None without a folder."""
    if folder is None:
        return None
    about = identity(data, rows, settings)
    name = name if name == "network" else f"{name}-{about['samples'][:8]}"
    return Checkpoint(folder / f"{name}.pt", about)


def _tell_where(standing: TrainingState) -> None:
    log.info("going on after %d epochs and %d steps", standing.epoch, standing.step)


def _progress(
    epochs: int, *, shown: bool
) -> Callable[[Iterable[Batch], int, int], Iterable[Batch]]:
    def wrapped(batches: Iterable[Batch], epoch: int, total: int) -> Iterator[Batch]:
        title = f"epoch {epoch + 1}/{epochs}"
        yield from tqdm(
            batches,
            desc=title,
            total=total,
            unit=" batches",
            leave=False,
            disable=None if shown else True,
        )

    return wrapped
