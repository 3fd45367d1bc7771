"""Networks exported to ONNX: the same answers, hostile graphs, folders, threads."""

import copy
import functools
import logging
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from small_forecasters import (
    CUBES,
    ORIGIN,
    POSTPROCESSING,
    PRESENT,
    SPEC,
    assert_same,
    small,
    small_network,
)

from flare.errors import ForecasterInvalid
from flare.forecasters.ensemble import combine
from flare.forecasters.network import GRAPH, NetworkForecaster
from flare.forecasters.onnx import TOLERANCE, ExportedNetwork, export, export_graph
from flare.forecasters.storage import load, read_description, save
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.models.normalisation import fit_normalisation

NORMALISATION = fit_normalisation(CUBES, PRESENT, np.arange(len(CUBES)))
SIZE = SPEC.image_size


@functools.cache
def both(architecture: str, n_quantiles: int = 1) -> tuple[NetworkForecaster, ExportedNetwork]:
    """Return a network whose batch normalisation and heads do something, and its export."""
    config = NetworkConfig(architecture, width=4, hidden=8, n_quantiles=n_quantiles)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        made = build(config).eval()
        for name, values in made.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                values.uniform_(0.3, 2.0)
        made.heads.event_head.weight.mul_(3)
    graph = export(made, NORMALISATION, image_size=SIZE)
    assert graph is not None
    return NetworkForecaster(made, config, NORMALISATION, spec=SPEC, origin=ORIGIN), graph


@pytest.fixture
def graph() -> bytes:
    return both("cnn")[1].content


def samples(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise in every plane, a fifth of them under the mask, and a sample with none."""
    rng = np.random.default_rng(n)
    cubes = rng.integers(0, 256, (n, 4, 10, SIZE, SIZE), dtype=np.uint8)
    present = rng.random((n, 4, 10)) < 0.8
    present[0, 1] = False
    cubes[0, 1] = 0
    present[1:2] = False
    return cubes, present


def assert_near(one, two, atol=TOLERANCE) -> None:
    for expected, result in zip(one, two, strict=True):
        assert expected.shape == result.shape
        assert expected.dtype == result.dtype == np.float64
        np.testing.assert_allclose(expected, result, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("architecture", "n_quantiles"), [*((one, 1) for one in ARCHITECTURES), ("cnn", 3)]
)
def test_exported_it_answers_as_pytorch_does_for_any_number_of_samples(architecture, n_quantiles):
    forecaster, graph = both(architecture, n_quantiles)
    for n in (1, 2, 17):
        cubes, present = samples(n)
        assert_near(forecaster._run_torch(cubes, present, None), graph.run(cubes, present))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_images_of_one_grey_level_and_what_lies_under_the_mask_make_no_difference(architecture):
    forecaster, graph = both(architecture)
    grey = np.array([1, 90, 128, 255], dtype=np.uint8)[:, None, None, None, None]
    cubes = np.broadcast_to(grey, (4, 4, 10, SIZE, SIZE)).copy()
    present = np.ones((4, 4, 10), dtype=bool)
    assert_near(forecaster._run_torch(cubes, present, None), graph.run(cubes, present))
    cubes, present = samples(3)
    before = graph.run(cubes, present)
    cubes[~present] = 255 - cubes[~present]
    assert_near(before, graph.run(cubes, present), atol=0)


def test_exporting_leaves_the_network_as_it_was():
    made = copy.deepcopy(both("cnn")[0].network).train()
    state = copy.deepcopy(made.state_dict())
    assert export(made, NORMALISATION, image_size=SIZE) is not None
    assert made.training
    torch.testing.assert_close(made.state_dict(), state, rtol=0, atol=0)


def test_calls_from_several_threads_give_the_same_answers(graph):
    one_each = ExportedNetwork(graph, threads=1)
    pieces = [(CUBES[k : k + 2], PRESENT[k : k + 2]) for k in range(0, 40, 2)]
    alone = [one_each.run(*piece)[0] for piece in pieces]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda piece: one_each.run(*piece)[0], pieces))
    np.testing.assert_array_equal(alone, together)


def elsewhere(tensor: TensorProto) -> TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def in_an_initializer(model: onnx.ModelProto) -> None:
    elsewhere(model.graph.initializer[0])


def in_a_constant(model: onnx.ModelProto) -> None:
    tensor = elsewhere(helper.make_tensor("k", TensorProto.FLOAT, [1], [0.0]))
    node = model.graph.node.add(op_type="Constant", output=["k"])
    node.attribute.append(helper.make_attribute("value", tensor))


def in_an_inner_graph(model: onnx.ModelProto) -> None:
    tensor = elsewhere(helper.make_tensor("inner", TensorProto.FLOAT, [1], [0.0]))
    inner = helper.make_graph([], "inner", [], [], initializer=[tensor])
    node = model.graph.node.add(op_type="If", input=["present"], output=["k"])
    node.attribute.append(helper.make_attribute("then_branch", inner))


def add_operators(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.example", version=1)


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "probability"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_an_initializer, "is in another file"),
        (in_a_constant, "is in another file"),
        (in_an_inner_graph, "is in another file"),
        (add_operators, r"com\.example"),
        (rename_output, "wanted"),
    ],
)
def test_a_graph_of_other_files_operators_or_outputs_is_refused(graph, change, message):
    model = onnx.load_model_from_string(graph)
    change(model)
    with pytest.raises(ForecasterInvalid, match=message):
        ExportedNetwork(model.SerializeToString())
    with pytest.raises(ForecasterInvalid, match="damaged"):
        ExportedNetwork(b"\xff" * 100)


@pytest.fixture
def warnings_of(caplog):
    with caplog.at_level(logging.WARNING, "flare"):
        yield lambda: [one.getMessage() for one in caplog.records]


def test_a_network_that_cannot_be_exported_stays_with_pytorch(monkeypatch, warnings_of):
    def refuse(*args: object, **options: object) -> bytes:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("flare.forecasters.onnx.export_graph", refuse)
    assert small_network().exported().engine == "torch"
    message = "PyTorch runs the network, it could not be exported: no such operator"
    assert warnings_of() == [message]


@pytest.mark.parametrize(
    ("head", "wrong"), [("flux_head", 1e-4), ("event_head", 1e-4), ("event_head", float("nan"))]
)
def test_a_graph_that_answers_otherwise_than_pytorch_is_not_used(
    monkeypatch, warnings_of, head, wrong
):
    def export_another(network: torch.nn.Module, *args: object, **options: int) -> bytes:
        another = copy.deepcopy(network)
        with torch.no_grad():
            getattr(another.heads, head).bias += wrong
        return export_graph(another, *args, **options)

    monkeypatch.setattr("flare.forecasters.onnx.export_graph", export_another)
    assert small_network().exported().engine == "torch"
    (message,) = warnings_of()
    assert "differ by" in message


@pytest.mark.usefixtures("unknown_runtime")
@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnx_runtime_pytorch_runs_the_network_and_it_is_said_once(
    monkeypatch, warnings_of, missing
):
    monkeypatch.setitem(sys.modules, missing, None)
    assert {small_network().exported().engine for _ in range(2)} == {"torch"}
    (message,) = warnings_of()
    assert missing in message


def test_a_network_on_another_device_is_run_by_pytorch():
    forecaster = small_network().exported()
    assert (forecaster.device, forecaster.engine) == ("cpu", "onnxruntime")
    # No GPU is needed to ask; "meta" stands for any device that is not the CPU.
    elsewhere = replace(forecaster, network=copy.deepcopy(forecaster.network).to("meta"))
    assert (elsewhere.device, elsewhere.engine) == ("meta", "torch")


@pytest.fixture(scope="module")
def forecaster():
    return small_network(n_quantiles=3).with_postprocessing(POSTPROCESSING).exported()


@pytest.fixture(scope="module")
def saved(forecaster, tmp_path_factory):
    return save(forecaster, tmp_path_factory.mktemp("onnx") / "neural")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of one's own."""
    return Path(shutil.copytree(saved, tmp_path / "neural"))


def test_exported_it_forecasts_what_it_did(forecaster):
    before = small_network(n_quantiles=3).with_postprocessing(POSTPROCESSING)
    assert (before.engine, forecaster.engine) == ("torch", "onnxruntime")
    assert_same(before.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)
    assert len(forecaster.predict(CUBES[:0], PRESENT[:0])) == 0
    large = CUBES[:2].repeat(2, axis=3).repeat(2, axis=4)
    assert_same(forecaster.predict(large, PRESENT[:2]), forecaster.predict(CUBES[:2], PRESENT[:2]))


def test_the_graph_travels_in_the_folder_with_its_digest_through_another_saving(
    forecaster, saved, tmp_path
):
    assert GRAPH in read_description(saved)["sha256"]
    again = load(save(load(saved).with_postprocessing(POSTPROCESSING), tmp_path / "again"))
    assert again.engine == "onnxruntime"
    assert_same(forecaster.predict(CUBES, PRESENT), again.predict(CUBES, PRESENT))
    assert again.exported() is again


def test_without_a_described_graph_pytorch_runs_the_network_whatever_lies_in_the_folder(tmp_path):
    folder = save(small_network(), tmp_path / "neural")
    assert not (folder / GRAPH).exists()
    (folder / GRAPH).write_bytes(b"anything")
    assert load(folder).engine == "torch"


def test_a_damaged_graph_is_refused(folder):
    content = bytearray((folder / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GRAPH).write_bytes(content)
    with pytest.raises(ForecasterInvalid, match="not the file that was saved"):
        load(folder)


@pytest.mark.usefixtures("unknown_runtime")
def test_a_folder_with_a_graph_loads_without_onnx_runtime(folder, monkeypatch, forecaster):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    loaded = load(folder)
    assert loaded.engine == "torch"
    assert_same(loaded.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)


def test_a_graph_that_this_runtime_cannot_read_is_left_to_pytorch(saved, monkeypatch, warnings_of):
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("opset 99 is not known")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    assert load(saved).engine == "torch"
    assert "opset 99" in warnings_of()[0]


def test_with_one_thread_it_forecasts_the_same(forecaster):
    three = forecaster.with_threads(3)
    assert three.graph.threads == 3
    assert three.with_threads(3).graph is three.graph
    single = three.with_threads(1)
    assert_same(single.predict(CUBES, PRESENT), forecaster.predict(CUBES, PRESENT), atol=1e-5)


def test_an_ensemble_has_its_networks_exported_and_gives_them_their_threads(tmp_path):
    before = combine([small("forest"), small_network()]).with_postprocessing(POSTPROCESSING)
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
    assert combine([small("forest"), small("climatology")]).engine == "numpy"
