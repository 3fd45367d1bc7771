"""Record a copied or renamed project's own folder for its artifacts; see ``store``."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType
from sqlalchemy import URL, Connection, MetaData, Table, create_engine, select, update

from flare.files import atomic_folder
from flare.tracking.mlflow_errors import as_unavailable
from flare.tracking.run_log import is_running, read_info, runs_dir
from flare.tracking.store import ARTIFACTS, connect, database_file, former_project, local_path

#: Where MLflow's database records locations of artifacts.
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Relocated:
    """What was changed: recorded locations, and folders that were copied from the old place."""

    old: Path
    new: Path
    locations: int
    copied: tuple[Path, ...]


def relocate() -> list[Relocated]:
    """Record this project's own folder for all artifacts that are recorded in one it came from.

    Artifacts that lie there alone are copied here first; nothing is removed there.
    """
    connect()
    database = database_file(mlflow.get_tracking_uri())
    if database is None or not database.exists():
        return []
    with as_unavailable(OSError):
        experiments = MlflowClient().search_experiments(view_type=ViewType.ALL)
    places = [former_project(str(one.artifact_location), database) for one in experiments]
    engine = create_engine(URL.create("sqlite", database=str(database)))
    try:
        with as_unavailable(OSError), engine.begin() as connection:
            return [
                _relocate(connection, old, database)
                for old in dict.fromkeys(place for place in places if place is not None)
            ]
    finally:
        engine.dispose()


def _relocate(connection: Connection, old: Path, database: Path) -> Relocated:
    new, copied, count = database.absolute().parent, [], 0
    for name, column_name in _COLUMNS:
        table = Table(name, MetaData(), autoload_with=connection)
        column = table.c[column_name]
        for location in connection.execute(select(column).distinct()).scalars().all():
            path = local_path(location)
            if path is None or not path.is_relative_to(old / ARTIFACTS):
                continue
            moved = new / path.relative_to(old)
            if name != "experiments" and path.is_dir() and not moved.exists():
                _copy(path, moved)
                copied.append(moved)
            text = moved.as_uri() if location.startswith("file:") else str(moved)
            connection.execute(update(table).where(column == location).values({column_name: text}))
            count += 1
    _rename_runs(old / database.name)
    return Relocated(old, new, count, tuple(copied))


def _copy(source: Path, dest: Path) -> None:
    """Copy a whole folder, or nothing."""
    with atomic_folder(dest) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)


def _rename_runs(old_database: Path) -> None:
    """Have unsent runs on this disk name the database that they came along with."""
    for folder in runs_dir().glob("*"):
        info = read_info(folder)
        if info is None or database_file(info.tracking_uri) != old_database:
            continue
        if not is_running(folder):
            replace(info, tracking_uri=mlflow.get_tracking_uri()).write()
