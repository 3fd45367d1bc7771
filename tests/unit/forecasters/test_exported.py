import copy
import functools
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from small_forecasters import CUBES, ORIGIN, PRESENT, SPEC, small_network

from flare.errors import ForecasterInvalid
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.onnx.export import TOLERANCE, export, export_graph
from flare.forecasters.onnx.session import ExportedNetwork, check_graph
from flare.models import ARCHITECTURES, NetworkConfig, build
from flare.models.normalisation import fit_normalisation

NORMALISATION = fit_normalisation(CUBES, PRESENT, np.arange(len(CUBES)))
SIZE = SPEC.image_size


def network(architecture: str, n_quantiles: int = 1) -> torch.nn.Module:
    """Return a network whose batch normalisation has seen something, and whose heads say much."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = build(NetworkConfig(architecture, width=4, hidden=8, n_quantiles=n_quantiles))
        with torch.no_grad():
            for name, values in made.named_buffers():
                if name.endswith(("running_mean", "running_var")):
                    values.uniform_(0.3, 2.0)
            made.heads.event_head.weight.mul_(3)
    return made.eval()


@functools.cache
def both(architecture: str, n_quantiles: int = 1) -> tuple[NetworkForecaster, ExportedNetwork]:
    config = NetworkConfig(architecture, width=4, hidden=8, n_quantiles=n_quantiles)
    made = network(architecture, n_quantiles)
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


@pytest.mark.parametrize("n_quantiles", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_exported_it_answers_as_pytorch_does_for_any_number_of_samples(architecture, n_quantiles):
    forecaster, graph = both(architecture, n_quantiles)
    for n in (1, 2, 17):
        cubes, present = samples(n)
        for one, two in zip(
            forecaster._run_torch(cubes, present, None), graph.run(cubes, present), strict=True
        ):
            assert one.shape == two.shape
            assert one.dtype == two.dtype == np.float64
            np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_exported_it_answers_as_pytorch_does_for_images_of_one_grey_level(architecture):
    forecaster, graph = both(architecture)
    grey = np.array([1, 90, 128, 255], dtype=np.uint8)[:, None, None, None, None]
    cubes = np.broadcast_to(grey, (4, 4, 10, SIZE, SIZE)).copy()
    present = np.ones((4, 4, 10), dtype=bool)
    for one, two in zip(
        forecaster._run_torch(cubes, present, None), graph.run(cubes, present), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_lies_under_the_mask_makes_no_difference_to_the_graph(architecture):
    _, graph = both(architecture)
    cubes, present = samples(3)
    before = graph.run(cubes, present)
    cubes[~present] = 255 - cubes[~present]
    for one, two in zip(before, graph.run(cubes, present), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_batch_normalisation_is_folded_into_the_convolutions(architecture, tmp_path):
    forecaster, graph = both(architecture)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(graph.content, options, providers=["CPUExecutionProvider"])
    operators = [one.op_type for one in onnx.load(tmp_path / "optimised.onnx").graph.node]
    layers = [type(one).__name__ for one in forecaster.network.modules()]
    assert ("Conv" in operators) == any(name.startswith("Conv") for name in layers)
    assert operators.count("BatchNormalization") <= 1  # the overview's, on a few numbers


def test_exporting_leaves_the_network_as_it_was():
    made = network("cnn").train()
    state = copy.deepcopy(made.state_dict())
    assert export(made, NORMALISATION, image_size=SIZE) is not None
    assert made.training
    for key, value in made.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_calls_from_several_threads_give_the_same_answers(graph):
    one_each = ExportedNetwork(graph, threads=1)
    pieces = [(CUBES[k : k + 2], PRESENT[k : k + 2]) for k in range(0, 40, 2)]
    alone = [one_each.run(*piece)[0] for piece in pieces]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda piece: one_each.run(*piece)[0], pieces))
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("threads", [1, 2])
def test_it_takes_the_threads_it_is_given(graph, threads):
    options = ExportedNetwork(graph).with_threads(threads)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


def changed(graph: bytes, change) -> bytes:
    model = onnx.load_model_from_string(graph)
    change(model)
    return model.SerializeToString()


def elsewhere(tensor: TensorProto) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def in_an_initializer(model: onnx.ModelProto) -> None:
    elsewhere(model.graph.initializer[0])


def in_a_constant(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Constant", output=["k"])
    tensor = helper.make_tensor("k", TensorProto.FLOAT, [1], [0.0])
    elsewhere(tensor)
    node.attribute.append(helper.make_attribute("value", tensor))


def in_an_inner_graph(model: onnx.ModelProto) -> None:
    tensor = helper.make_tensor("inner", TensorProto.FLOAT, [1], [0.0])
    elsewhere(tensor)
    inner = helper.make_graph([], "inner", [], [], initializer=[tensor])
    node = model.graph.node.add(op_type="If", input=["present"], output=["k"])
    node.attribute.append(helper.make_attribute("then_branch", inner))


@pytest.mark.parametrize("place", [in_an_initializer, in_a_constant, in_an_inner_graph])
def test_a_graph_that_reads_another_file_is_refused(graph, place):
    with pytest.raises(ForecasterInvalid, match="is in another file"):
        ExportedNetwork(changed(graph, place))


def test_a_graph_of_strange_operators_is_refused(graph):
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.add(domain="com.example", version=1)

    with pytest.raises(ForecasterInvalid, match=r"com\.example"):
        ExportedNetwork(changed(graph, change))


def test_a_graph_that_answers_something_else_is_refused(graph):
    def change(model: onnx.ModelProto) -> None:
        model.graph.output[0].name = "probability"

    with pytest.raises(ForecasterInvalid, match="wanted"):
        ExportedNetwork(changed(graph, change))


def test_what_is_not_a_graph_is_refused():
    with pytest.raises(ForecasterInvalid, match="damaged"):
        check_graph(b"\xff" * 100)


def test_a_network_that_cannot_be_exported_stays_with_pytorch(monkeypatch, caplog):
    def refuse(*args: object, **options: object) -> bytes:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("flare.forecasters.onnx.export.export_graph", refuse)
    with caplog.at_level(logging.WARNING, "flare"):
        forecaster = small_network().exported()
    assert forecaster.engine == "torch"
    assert [one.getMessage() for one in caplog.records] == [
        "PyTorch runs the network, it could not be exported: no such operator"
    ]


@pytest.mark.parametrize("wrong", [1e-4, float("nan")])
@pytest.mark.parametrize("head", ["flux_head", "event_head"])
def test_a_graph_that_answers_otherwise_than_pytorch_is_not_used(monkeypatch, caplog, head, wrong):
    def export_another(network: torch.nn.Module, *args: object, **options: int) -> bytes:
        another = copy.deepcopy(network)
        with torch.no_grad():
            getattr(another.heads, head).bias += wrong
        return export_graph(another, *args, **options)

    monkeypatch.setattr("flare.forecasters.onnx.export.export_graph", export_another)
    with caplog.at_level(logging.WARNING, "flare"):
        forecaster = small_network().exported()
    assert forecaster.engine == "torch"
    assert len(caplog.records) == 1
    assert "differ by" in caplog.text


@pytest.mark.usefixtures("asked_again")
@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnx_runtime_pytorch_runs_the_network_and_it_is_said_once(
    monkeypatch, caplog, missing
):
    monkeypatch.setitem(sys.modules, missing, None)
    with caplog.at_level(logging.WARNING, "flare"):
        first, second = small_network().exported(), small_network().exported()
    assert first.engine == second.engine == "torch"
    assert len(caplog.records) == 1
    assert missing in caplog.text


def test_a_network_on_another_device_is_run_by_pytorch():
    forecaster = small_network().exported()
    assert (forecaster.device, forecaster.engine) == ("cpu", "onnxruntime")
    # No GPU is needed to ask; "meta" stands for any device that is not the CPU.
    elsewhere = replace(forecaster, network=copy.deepcopy(forecaster.network).to("meta"))
    assert (elsewhere.device, elsewhere.engine) == ("meta", "torch")
