"""Whether artifacts are recorded in a folder that this project was copied or renamed from.

MLflow records absolute paths: a copy would go on writing into the original, and a renamed project
into a new folder under the old name. Artifacts of a store without a server lie in ``mlruns`` of
the folder that its first run was started in, which here is the folder of the database.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from flare.errors import TrackingUnavailable
from flare.tracking.store import check_name, database_file

ARTIFACTS = "mlruns"


def check_location(location: str) -> None:
    """Raise where artifacts are recorded to lie in a place that this project was moved from.

    Raises
    ------
    TrackingUnavailable
        Names the recorded folder, the one of the database, and the command that repairs it; or
        the folder's name is one that MLflow reads otherwise.
    """
    database = database_file(mlflow.get_tracking_uri())
    if database is None:
        return
    old, new = moved_from(location, database), database.absolute().parent
    if old is not None:
        raise TrackingUnavailable(
            f"MLflow's database is in {new}, but its artifacts are recorded in {old / ARTIFACTS}: "
            "this project was copied or renamed; move them with `python -m entrypoints.relocate`"
        )
    check_name(location)


def check_model_location(uri: str) -> None:
    """Do what ``check_location`` does for the model that an address such as ``models:/`` names."""
    if database_file(mlflow.get_tracking_uri()) is not None:
        repository = get_artifact_repository(uri)
        check_location(str(getattr(repository, "repo", repository).artifact_uri))


def moved_from(location: str, database: Path) -> Path | None:
    """Return the project folder that a location of artifacts names, where it is a former one.

    A folder elsewhere may be meant: a database that several projects share. It is a former one if
    it is gone, if the artifacts came along, or if its database is the one that this was copied of.
    """
    path = local_path(location)
    if path is None or ARTIFACTS not in path.parts:
        return None
    cut = len(path.parts) - 1 - path.parts[::-1].index(ARTIFACTS)
    old, new = Path(*path.parts[:cut]), database.absolute().parent
    with suppress(OSError):
        if old.samefile(new):
            return None
    came_along = (new / path.relative_to(old)).exists()
    if not old.exists() or came_along or _is_copy(database, old / database.name):
        return old
    return None


def _is_copy(database: Path, other: Path) -> bool:
    """Whether two databases have the same first experiment, to the millisecond of its making."""
    times = [_first_time(one) for one in (database, other) if one.is_file()]
    return len(times) == 2 and times[0] is not None and times[0] == times[1]


def _first_time(database: Path) -> int | None:
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as opened:
        row = opened.execute("SELECT min(creation_time) FROM experiments").fetchone()
        return None if row[0] is None else int(row[0])
    return None


def local_path(location: str | None) -> Path | None:
    """Return the path of a location on this disk; None for any other."""
    if not location:
        return None
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return Path(location) if location.startswith("/") else None
