"""The entry point from the command line to a run in MLflow, against a server of this machine."""

import functools
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flare.config import DownloadConfig
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.errors import DownloadFailed
from flare.workflows.data import download

from archive_server import Served, Status, running_server
from archives_of_all_kinds import archive_of_folder
from tiny import write_tiny_dataset
from workplace import working_in


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Work in one folder with one MLflow store for all tests of this file."""
    with working_in(tmp_path_factory.mktemp("store")):
        yield Path.cwd()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A dataset of two samples."""
    folder = tmp_path_factory.mktemp("small") / "data"
    return write_tiny_dataset(folder, training_regions=1, test_regions=1, samples_per_region=1)


@pytest.fixture(scope="module")
def content(small, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("archive") / "full.zip"
    return archive_of_folder(path, "zip", small, prefix="SDOBenchmark-data-full/").read_bytes()


@pytest.fixture
def server():
    with running_server() as running:
        yield running


@pytest.fixture
def typed(store, command_line):
    """Return a function that runs the command line, and gives exit code, output and messages."""
    return functools.partial(command_line, "download", processes=1)


def newest_run():
    return MlflowClient().search_runs(["0"], max_results=1)[0]


def test_a_download_is_a_run_with_its_counts_its_data_and_its_artifacts(
    store, server, content, small, tmp_path
):
    url = server.tell("/full", Served(content, stop_after=30_000), Served(content))
    dest = tmp_path / "raw"
    downloaded = download.run(DownloadConfig(what="full", source=url, dest=dest, processes=1))
    logged = newest_run()
    assert logged.info.status == "FINISHED"
    assert logged.data.params["source"] == url
    assert logged.data.metrics["training/samples"] == 1
    assert logged.data.metrics["test/missing/211"] == 1
    assert logged.data.tags["flare.data"] == "sdobenchmark-full"
    assert logged.data.tags["flare.synthetic"] == "false"
    assert logged.data.tags["flare.data_fingerprint"] == content_fingerprint(small)
    assert logged.data.tags["flare.matches_published"] == "false"
    contexts = {tag.value for one in logged.inputs.dataset_inputs for tag in one.tags}
    assert contexts == {"training", "test"}
    client = MlflowClient()
    (figure,) = client.list_artifacts(logged.info.run_id, "figures")
    assert figure.path == "figures/census.png"
    stored = client.download_artifacts(logged.info.run_id, "dataset.json", str(tmp_path))
    assert json.loads(Path(stored).read_text()) == downloaded.record.model_dump()


def test_a_download_that_fails_is_a_failed_run_that_says_why(store, server, tmp_path):
    url = server.tell("/full", Status(404))
    with pytest.raises(DownloadFailed):
        download.run(DownloadConfig(source=url, dest=tmp_path / "raw"))
    logged = newest_run()
    assert logged.info.status == "FAILED"
    assert "404 Not Found" in logged.data.tags["flare.error"]


def test_the_command_prints_the_census_and_says_what_to_do_next(typed, server, content, tmp_path):
    url = server.tell("/a", Served(content))
    code, out, err = typed(source=url, dest=tmp_path / "raw")
    assert code == 0
    assert "magnetogram" in out
    assert "not the whole of SDOBenchmark" in out
    assert out.splitlines()[-1] == f"next: mlflow run . -e pack -P data_dir={tmp_path}/raw"
    assert "unpacked 80 files" in err
    assert "%|" not in err  # no bar where there is no terminal
    code, out, _ = typed(source=url, dest=tmp_path / "raw")
    assert (code, len(server.seen)) == (0, 1)
    assert "was here already and is unchanged" in out


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"source": "githb"}, "source=githb: choose from github, kaggle"),
        ({"what": "example", "source": "kaggle"}, "github has both"),
        ({"what": "half"}, "what=half: "),
        ({"sha256": "abc"}, "write 64 hexadecimal digits"),
        ({"attempts": 0}, "attempts=0: "),
    ],
)
def test_a_bad_parameter_is_one_line_and_no_transfer(typed, tmp_path, parameters, says):
    code, out, err = typed(dest=tmp_path / "raw", **parameters)
    assert (code, out) == (2, "")
    assert says in err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_bad_archive_is_one_line_and_leaves_nothing(typed, server, tmp_path):
    code, out, err = typed(source=server.tell("/a", Served(b"nonsense")), dest=tmp_path / "raw")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("download: http://127.0.0.1:")
    assert list(tmp_path.iterdir()) == []
