"""Several forecasters as one: means, sizes, origins, nested folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_forecasters import (
    CUBES,
    POSTPROCESSING,
    PRESENT,
    assert_same,
    describe,
    small,
    small_forest,
    small_network,
)

from flare.errors import ConfigInvalid, ForecasterInvalid, ModelNotFound
from flare.forecasters.base import ForecasterSpec
from flare.forecasters.ensemble import EnsembleForecaster, combine
from flare.forecasters.storage import DESCRIPTION, load, save
from flare.sample import reduce_cubes


@pytest.fixture(scope="module")
def mixed() -> EnsembleForecaster:
    """A forest and a network, each with its postprocessing."""
    return combine([small("forest"), small("neural")])


@pytest.fixture(scope="module")
def saved(mixed, tmp_path_factory) -> Path:
    return save(mixed, tmp_path_factory.mktemp("ensemble") / "ensemble")


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy of one's own."""
    return Path(shutil.copytree(saved, tmp_path / "ensemble"))


def test_a_forecast_is_the_mean_of_those_of_the_postprocessed_members(mixed):
    own = mixed.predict(CUBES, PRESENT)
    members = [one.predict(CUBES, PRESENT) for one in mixed.members]
    np.testing.assert_allclose(own.log10_flux, np.mean([m.log10_flux for m in members], axis=0))
    np.testing.assert_allclose(own.probability, np.mean([m.probability for m in members], axis=0))


def test_its_own_postprocessing_comes_on_top_and_leaves_the_members_alone(mixed):
    postprocessed = mixed.with_postprocessing(POSTPROCESSING)
    assert postprocessed.members == mixed.members
    forecast = postprocessed.predict(CUBES, PRESENT)
    np.testing.assert_allclose(forecast.upper - forecast.log10_flux, POSTPROCESSING.residual_high)


def test_members_of_smaller_images_see_smaller_images():
    large = np.repeat(np.repeat(CUBES, 2, axis=3), 2, axis=4)
    small_one, large_one = small_forest(), small_network()
    large_one = replace(large_one, spec=ForecasterSpec(image_size=64))
    both = combine([small_one, large_one])
    assert both.spec.image_size == 64
    expected = [
        small_one.predict(reduce_cubes(large, 32), PRESENT).log10_flux,
        large_one.predict(large, PRESENT).log10_flux,
    ]
    np.testing.assert_allclose(both.predict(large, PRESENT).log10_flux, np.mean(expected, axis=0))


def test_it_has_seen_what_any_member_has_seen():
    first, second = small_forest(), small_network()
    second = replace(second, origin=replace(second.origin, active_regions=(11010, 11999)))
    assert combine([first, second]).origin.active_regions == (11000, 11010, 11999)


def network(**changes):
    return replace(small("neural"), **changes)


ORIGIN = small("neural").origin


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([small("forest")], "1 members"),
        ([small("ensemble"), small("forest")], "cannot be a member"),
        (
            [
                small("forest"),
                network(origin=replace(ORIGIN, data_name="x")),
                network(origin=replace(ORIGIN, data_fingerprint="0" * 16)),
            ],
            "member 3 was trained on",
        ),
        (
            [small("forest"), network(spec=ForecasterSpec(32, events=("C1.0", "M1.0")))],
            "another input or output",
        ),
        ([small("forest"), network(spec=ForecasterSpec(48))], "does not divide 48"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(members, message):
    with pytest.raises(ConfigInvalid, match=message):
        combine(members)


def test_a_loaded_ensemble_of_a_forest_and_a_network_answers_the_same(mixed, saved):
    assert_same(load(saved).predict(CUBES, PRESENT), mixed.predict(CUBES, PRESENT))


def test_a_byte_that_changed_in_a_member_is_noticed_by_the_ensemble(folder):
    weights = folder / "member-01" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ForecasterInvalid, match=f"{weights} is missing or not the file"):
        load(folder)


def test_a_member_that_was_exchanged_whole_is_noticed(folder, tmp_path):
    other = save(small_forest(7), tmp_path / "other")
    shutil.rmtree(folder / "member-00")
    shutil.move(other, folder / "member-00")
    with pytest.raises(ForecasterInvalid, match="not the file that was saved"):
        load(folder)


@pytest.mark.parametrize("name", ["../other", "/etc", ".", "", "member-00/../../other", 7, None])
def test_a_member_elsewhere_is_not_followed(folder, tmp_path, name):
    save(small_forest(7), tmp_path / "other")
    digest = json.loads((tmp_path / "other" / DESCRIPTION).read_text())["digest"]
    describe(folder, parts={"members": [{"folder": name, "digest": digest}]})
    with pytest.raises(ForecasterInvalid):
        load(folder)


def test_a_folder_that_holds_itself_or_no_members_is_refused(folder):
    shutil.rmtree(folder / "member-00")
    (folder / "member-00").symlink_to(folder)
    describe(folder, sha256={})
    with pytest.raises((ForecasterInvalid, ModelNotFound)):
        load(folder)
    describe(folder, parts={"members": []})
    with pytest.raises(ForecasterInvalid, match="no members"):
        load(folder)
