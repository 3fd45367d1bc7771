"""What networks are normalised by: read from the pack, or measured once where it has none."""

from dataclasses import replace

import numpy as np
import pytest

from flare.config import TrainConfig
from flare.models.normalisation import fit_normalisation
from flare.workflows.fitting import training_data as data_module
from flare.workflows.fitting.network_inputs import prepare_inputs
from flare.workflows.fitting.training_data import training_rows

from workplace import working_in


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
