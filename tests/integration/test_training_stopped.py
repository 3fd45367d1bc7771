"""Ctrl-C and SIGTERM late in a training: obeyed, and nothing that was computed is lost."""

import os
import signal

import pytest

from flare.config import TrainConfig
from flare.training.state import TrainingState
from flare.workflows.fitting.cross_validation import training_folds
from flare.workflows.fitting.network import train_network
from flare.workflows.fitting.network_folds import cross_validate_network
from flare.workflows.fitting.network_inputs import prepare_inputs
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

    with pytest.raises(KeyboardInterrupt):
        train_network(data, config, inputs, on_epoch=last, checkpoints=tmp_path)
    again, resumed = [], []
    train_network(
        data,
        config,
        inputs,
        on_epoch=again.append,
        on_resume=resumed.extend,
        checkpoints=tmp_path,
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
