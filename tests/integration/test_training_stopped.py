"""Ctrl-C and SIGTERM late in a training: obeyed, and nothing that was computed is lost."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from flare.config import TrainConfig
from flare.models.normalisation import fit_normalisation
from flare.training.state import TrainingState
from flare.workflows.fitting import training_data as data_module
from flare.workflows.fitting.cross_validation import training_folds
from flare.workflows.fitting.network import prepare_inputs, train_network
from flare.workflows.fitting.network_folds import checkpoint_for, cross_validate_network
from flare.workflows.fitting.training_data import training_rows

from workplace import SMALL_NETWORK, working_in


@pytest.fixture(scope="module")
def case(home, models):
    """Return the training rows, the inputs of networks, and the config of a small network."""
    config = TrainConfig(**home.small, **SMALL_NETWORK, features=False)
    with working_in(home.folder):
        data = training_rows(config)
    return data, prepare_inputs(data, config), config


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_epoch_stops_and_the_training_is_saved_whole(
    case, tmp_path, number
):
    data, inputs, config = case
    seen = []

    def last(record):
        seen.append(record)
        if len(seen) == config.epochs:
            os.kill(os.getpid(), number)

    checkpoint = checkpoint_for(tmp_path, "network", data, data.split.train, config)
    with pytest.raises(KeyboardInterrupt):
        train_network(data, config, inputs, on_epoch=last, checkpoint=checkpoint)
    again, resumed = [], []
    train_network(
        data,
        config,
        inputs,
        on_epoch=again.append,
        on_resume=resumed.extend,
        checkpoint=checkpoint,
    )
    assert (again, resumed) == ([], seen)


def test_a_signal_in_the_only_epoch_of_a_fold_stops(case, tmp_path, monkeypatch):
    data, inputs, config = case
    real = TrainingState.next_epoch

    def next_epoch(state, record):
        real(state, record)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingState, "next_epoch", next_epoch)
    folds = training_folds(data, 2, seed=0)
    with pytest.raises(KeyboardInterrupt):
        cross_validate_network(data, config, inputs, folds, epochs=1, checkpoints=tmp_path)
    assert len(list(tmp_path.glob("fold-*.pt"))) == 1


@pytest.fixture(scope="module")
def data(home, models):
    """The training rows of a pack with sums."""
    with working_in(home.folder):
        return training_rows(TrainConfig(**home.small))


@pytest.fixture
def read(monkeypatch):
    """Return a list that gets the number of parts of every pass over the images."""
    passes = []
    real = data_module.read_ahead

    def counted(cubes, parts):
        passes.append(len(parts))
        return real(cubes, parts)

    monkeypatch.setattr(data_module, "read_ahead", counted)
    return passes


def test_networks_are_normalised_by_the_pack_as_by_its_images(data, read):
    inputs = prepare_inputs(data, TrainConfig(accelerator="cpu", features=False))
    cubes, rows = np.asarray(data.rows.cubes), data.split.train
    assert inputs.normalisation == fit_normalisation(cubes, data.rows.present, rows)
    assert read == []


def test_images_of_a_pack_without_sums_are_read_once(data, read):
    old = replace(data, rows=replace(data.rows, sums=None))
    for _ in range(2):
        np.testing.assert_array_equal(old.plane_sums, data.rows.sums)
    assert len(read) == 1
