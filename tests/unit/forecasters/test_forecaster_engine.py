import json
import logging
import sys

import numpy as np
import onnxruntime
import pytest
from small_forecasters import (
    CUBES,
    POSTPROCESSING,
    PRESENT,
    small,
    small_climatology,
    small_forest,
    small_network,
)
from test_forecaster_folder import describe

from flare.errors import ForecasterInvalid
from flare.forecasters.ensemble import combine
from flare.forecasters.network import GRAPH
from flare.forecasters.storage import DESCRIPTION, load, save

PARTS = ("log10_flux", "lower", "upper", "probability")


@pytest.fixture(scope="module")
def forecaster():
    return small_network(n_quantiles=3).with_postprocessing(POSTPROCESSING).exported()


@pytest.fixture
def folder(forecaster, tmp_path):
    return save(forecaster, tmp_path / "neural")


def assert_same(one, two, *, atol: float = 0.0) -> None:
    for part in PARTS:
        np.testing.assert_allclose(getattr(one, part), getattr(two, part), rtol=0, atol=atol)


def test_exported_it_forecasts_what_it_did(forecaster):
    before = small_network(n_quantiles=3).with_postprocessing(POSTPROCESSING)
    assert (before.engine, forecaster.engine) == ("torch", "onnxruntime")
    assert_same(before.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)


def test_exported_it_forecasts_nothing_for_no_samples(forecaster):
    assert len(forecaster.predict(CUBES[:0], PRESENT[:0])) == 0


def test_it_averages_larger_images_down(forecaster):
    large = CUBES[:2].repeat(2, axis=3).repeat(2, axis=4)
    assert_same(forecaster.predict(large, PRESENT[:2]), forecaster.predict(CUBES[:2], PRESENT[:2]))


def test_the_graph_travels_in_the_folder_with_its_digest(forecaster, folder):
    assert (folder / GRAPH).is_file()
    assert GRAPH in json.loads((folder / DESCRIPTION).read_text())["sha256"]
    loaded = load(folder)
    assert loaded.engine == "onnxruntime"
    assert_same(forecaster.predict(CUBES, PRESENT), loaded.predict(CUBES, PRESENT))


def test_a_new_tuning_and_another_saving_keep_the_engine(folder, tmp_path):
    again = load(save(load(folder).with_postprocessing(POSTPROCESSING), tmp_path / "again"))
    assert again.engine == "onnxruntime"


def test_what_was_exported_is_not_exported_again(forecaster):
    assert forecaster.exported() is forecaster


def test_a_folder_of_before_is_run_by_pytorch(tmp_path):
    folder = save(small_network(), tmp_path / "neural")
    assert not (folder / GRAPH).exists()
    assert load(folder).engine == "torch"


def test_a_graph_that_somebody_laid_into_the_folder_is_not_read(tmp_path):
    folder = save(small_network(), tmp_path / "neural")
    (folder / GRAPH).write_bytes(b"anything")
    assert load(folder).engine == "torch"


def test_a_damaged_graph_is_refused(folder):
    content = bytearray((folder / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GRAPH).write_bytes(content)
    with pytest.raises(ForecasterInvalid, match="not the file that was saved"):
        load(folder)


def test_a_graph_that_is_not_the_one_described_is_refused(folder):
    description = json.loads((folder / DESCRIPTION).read_text())
    describe(folder, parts={**description["parts"], "graph_sha256": "0" * 64})
    with pytest.raises(ForecasterInvalid, match="not the file that was saved"):
        load(folder)


@pytest.mark.usefixtures("asked_again")
def test_a_folder_with_a_graph_loads_without_onnx_runtime(folder, monkeypatch, forecaster):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded = load(folder)
    assert loaded.engine == "torch"
    assert_same(loaded.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)


def test_a_graph_that_this_runtime_cannot_read_is_left_to_pytorch(folder, monkeypatch, caplog):
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("opset 99 is not known")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with caplog.at_level(logging.WARNING, "flare"):
        assert load(folder).engine == "torch"
    assert "opset 99" in caplog.text


def test_with_one_thread_it_forecasts_the_same(forecaster):
    three = forecaster.with_threads(3)
    assert three.graph.threads == 3
    assert three.with_threads(3).graph is three.graph
    single = three.with_threads(1)
    assert_same(single.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)
    assert_same(single.predict(CUBES, PRESENT), three.predict(CUBES, PRESENT), atol=1e-6)


def test_a_network_that_was_not_exported_takes_pytorchs_threads():
    network = small_network()
    assert network.with_threads(1) is network


@pytest.mark.parametrize("kind", ["climatology", "constant", "forest", "logistic"])
def test_a_forecaster_without_networks_stays_as_it_is(kind):
    made = small(kind)
    assert made.exported() is made
    assert made.with_threads(1) is made
    assert (made.engine, made.device) == ("numpy", "cpu")


def test_an_ensemble_has_its_networks_exported_and_gives_them_their_threads(tmp_path):
    before = combine([small_forest(), small_network()]).with_postprocessing(POSTPROCESSING)
    made = before.exported()
    assert (before.engine, made.engine) == ("numpy, torch", "numpy, onnxruntime")
    assert made.device == "cpu"
    assert made.members[0] is before.members[0]
    single = load(save(made, tmp_path / "ensemble")).with_threads(1)
    assert single.engine == "numpy, onnxruntime"
    assert single.members[1].graph._session.get_session_options().intra_op_num_threads == 1
    assert_same(single.predict(CUBES, PRESENT), before.predict(CUBES, PRESENT), atol=1e-5)


def test_an_ensemble_names_every_engine_once(forecaster):
    assert combine([forecaster, small_network(n_quantiles=3)]).engine == "onnxruntime, torch"
    assert combine([small_forest(), small_climatology()]).engine == "numpy"
