"""Projects in folders with odd names, and copied and renamed ones."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from flare.config import BaselineConfig, PredictConfig, PromoteConfig, RelocateConfig
from flare.errors import ModelNotFound, TrackingUnavailable
from flare.tracking.registry import check_there
from flare.tracking.run_log import RunInfo, read_info
from flare.tracking.runs import start
from flare.tracking.store import database_file, plain_address
from flare.workflows import baseline, predict, promote, relocate
from serving.models.cache import ModelCache
from serving.models.source import MLflowSource

from workplace import SMALL_FOREST, set_up_store, store_uri, tree, working_in

PRODUCTION = "models:/solar-flare@Production"


@pytest.fixture(autouse=True)
def no_address_is_kept() -> Iterator[None]:
    """Forget the address that ``connect`` gives MLflow where the one of the environment is odd."""
    yield
    mlflow.set_tracking_uri(None)


def served(state: Path):
    """Return what a server in this folder loads."""
    cache = ModelCache(state, PRODUCTION)
    source = MLflowSource(PRODUCTION, model_name="solar-flare", tracking_uri=None, cache=cache)
    return source.load(source.current_version())


@pytest.mark.parametrize(
    ("address", "path", "plain"),
    [
        ("sqlite:///mlflow.db", "mlflow.db", None),
        ("sqlite:///mlflow.db?timeout=60", "mlflow.db", None),
        ("sqlite:////my pröject/mlflow.db", "/my pröject/mlflow.db", None),
        ("sqlite+pysqlite:////a/mlflow.db", "/a/mlflow.db", None),
        ("sqlite:///file:/a%20b/m.db?uri=true", "/a b/m.db", "sqlite:///file:/a b/m.db?uri=true"),
        ("sqlite:////my%20pr%C3%B6ject/m.db", "/my pröject/m.db", "sqlite:////my pröject/m.db"),
        ("sqlite:////a%20b/m.db?timeout=60", "/a b/m.db", "sqlite:////a b/m.db?timeout=60"),
        ("sqlite:////a%2520b/m.db", "/a%20b/m.db", None),  # the folder's name has the escape
        *(
            (address, None, None)
            for address in (
                "sqlite://",
                "sqlite:///:memory:",
                "sqlite:///file:name?mode=memory&uri=true",
                "http://host:5000",
                "postgresql://u:p%40@h/db",
                "mlruns",
                "",
            )
        ),
    ],
)
def test_an_address_is_read_as_sqlalchemy_reads_it_and_escapes_that_mean_the_same_left_out(
    address, path, plain
):
    assert database_file(address) == (None if path is None else Path(path))
    assert plain_address(address) == (plain or address)


def test_a_project_in_a_folder_with_an_odd_name_trains_promotes_serves_and_predicts(
    tmp_path, tiny_dataset, monkeypatch
):
    monkeypatch.setattr("flare.tracking.store._set_up", set_up_store)
    small = {"image_size": 32, "processes": 1, "validation_share": 0.4, "resamples": 100}
    project = tmp_path / "work" / "my pröject"
    with working_in(project):
        monkeypatch.delenv("MLFLOW_TRACKING_URI")  # as for somebody who sets nothing
        pack = {"data_dir": tiny_dataset, "pack_dir": project / "pack"}
        baseline.run(BaselineConfig(**pack, **SMALL_FOREST, **small))
        promote.run(PromoteConfig())
        sample = next((tiny_dataset / "test").glob("*/*"))
        (row,) = predict.run(PredictConfig(model="Production", input=sample)).rows
        live = served(project / "state")
        assert live.version.number == "1"
        assert row["flare_class"] in "ABCMX"
        assert (
            Path(MlflowClient().get_experiment("0").artifact_location) == project / "mlruns" / "0"
        )
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["my pröject"]


def test_a_server_sees_that_the_database_is_there(elsewhere, monkeypatch):
    address = "sqlite:///a%20b/mlflow.db?timeout=60"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ModelNotFound, match="there is no database"):
        check_there("solar-flare")
    with start("pack", name="first"):
        pass
    check_there("solar-flare")
    assert database_file(address).is_file()


@pytest.fixture
def project(home, models, tmp_path) -> Path:
    """A copy of a project that has trained and promoted, with its database and its artifacts."""
    with working_in(home.folder):
        promote.run(PromoteConfig(version="2", force="for the copy"))
    return Path(shutil.copytree(home.folder, tmp_path / "copy"))


def moved(project: Path, home: Path) -> str:
    return f".*{re.escape(str(project))}.*{re.escape(str(home / 'mlruns'))}.*entrypoints.relocate"


def test_a_copied_project_neither_writes_into_the_original_nor_loads_from_it(project, home):
    before = sorted((home.folder / "mlruns").rglob("*"))
    with working_in(project):
        with pytest.raises(TrackingUnavailable, match=moved(project, home.folder)) as caught:
            start("pack", name="in the copy").__enter__()
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(TrackingUnavailable, match=moved(project, home.folder)):
            served(project / "state")
    assert sorted((home.folder / "mlruns").rglob("*")) == before


def test_a_relocated_copy_is_a_project_of_its_own(project, home, tiny_dataset):
    before = sorted((home.folder / "mlruns").rglob("*"))
    own = project / "mlruns"
    with working_in(project):
        unsent = RunInfo("0" * 32, "train", store_uri(home.folder))
        unsent.write()
        (done,) = relocate.run(RelocateConfig())
        assert read_info(unsent.folder).tracking_uri == store_uri(project)
        assert (done.old, done.new, done.copied) == (home.folder, project, ())
        with start("pack", name="in the copy") as run:
            run.log_text("text", "text.txt")
        assert (own / "0" / run.id / "artifacts" / "text.txt").read_text() == "text"
        assert served(project / "state").version.number == "2"
        sample = next((tiny_dataset / "test").glob("*/*"))
        assert len(predict.run(PredictConfig(model="2", input=sample)).rows) == 1
        assert relocate.run(RelocateConfig()) == []
    assert sorted((home.folder / "mlruns").rglob("*")) == before
    with sqlite3.connect(project / "mlflow.db") as database:
        assert str(home.folder) not in " ".join(locations(database))
    database.close()


def locations(database: sqlite3.Connection) -> list[str]:
    wanted = (
        "SELECT artifact_location FROM experiments UNION SELECT artifact_uri FROM runs UNION "
        "SELECT artifact_location FROM logged_models UNION SELECT source FROM model_versions"
    )
    return [one for (one,) in database.execute(wanted)]


def test_a_renamed_project_does_not_make_its_old_folder_again(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with working_in(old), start("pack", name="before") as run:
        run.log_text("text", "text.txt")
    old.rename(new)
    with working_in(new):
        with pytest.raises(TrackingUnavailable, match=moved(new, old)):
            start("pack", name="after").__enter__()
        assert not old.exists()
        relocate.run(RelocateConfig())
        with start("pack", name="after"):
            pass
        assert MlflowClient().list_artifacts(run.id)[0].path == "text.txt"


def test_what_lies_in_the_original_alone_is_copied_from_there(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with working_in(old), start("pack", name="before") as run:
        run.log_text("text", "text.txt")
    new.mkdir()
    shutil.copy(old / "mlflow.db", new)
    with working_in(new):
        with pytest.raises(TrackingUnavailable, match=moved(new, old)):
            start("pack", name="after").__enter__()
        (done,) = relocate.run(RelocateConfig())
        assert done.copied == (new / "mlruns" / "0" / run.id / "artifacts",)
        shutil.rmtree(old)
        assert MlflowClient().list_artifacts(run.id)[0].path == "text.txt"


def test_a_database_that_several_projects_share_is_not_a_copy(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    for name in ("one", "two"):
        with working_in(tmp_path / name):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri(shared))
            with start("pack", name=name) as run:
                run.log_text("text", "text.txt")
    assert list(tree(tmp_path / "one")) == []
    assert (tmp_path / "one" / "mlruns" / "0" / run.id).is_dir()


def test_a_project_that_is_reached_through_a_link_is_where_it_was(tmp_path):
    with working_in(tmp_path / "real"), start("pack", name="first"):
        pass
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with working_in(tmp_path / "link"), start("pack", name="second"):
        pass


def test_a_first_run_in_a_folder_whose_name_mlflow_reads_otherwise_is_refused(
    tmp_path, monkeypatch
):
    with working_in(tmp_path / "my%20project"):
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        with pytest.raises(TrackingUnavailable, match=r"my%20project into .*my project: .* rename"):
            start("pack", name="first").__enter__()
    assert [path.name for path in tmp_path.rglob("*")] == ["my%20project"]


def test_a_project_that_was_renamed_to_a_name_mlflow_reads_otherwise_is_refused(
    tmp_path, monkeypatch
):
    old, odd, new = tmp_path / "old", tmp_path / "my%20project", tmp_path / "new"
    with working_in(old), start("pack", name="first") as run:
        run.log_text("text", "text.txt")
    old.rename(odd)
    with working_in(odd):
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        relocate.run(RelocateConfig())
        with pytest.raises(TrackingUnavailable, match=r"my%20project.* into .*my project.* rename"):
            start("pack", name="second").__enter__()
    odd.rename(new)
    with working_in(new):
        relocate.run(RelocateConfig())
        assert MlflowClient().list_artifacts(run.id)[0].path == "text.txt"
