"""Errors of MLflow, its server, its database, or a proxy: one line with the next step, or a retry.

MLflow raises most of them as one class, so they are distinguished by status and by words.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import mlflow
from alembic.util import CommandError
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from flare.errors import TrackingUnavailable

log = logging.getLogger("flare")

Result = TypeVar("Result")

#: Seconds between two attempts while a server is away: the first, doubled up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
_LENGTH = 400  # characters of what MLflow says

#: Pattern in a message, and what to do then; the first match counts.
_NEXT_STEPS = (
    (
        r"_alembic_tmp_|duplicate column name|table \S+ already exists|expected to match one row",
        "another process was setting up or upgrading this database; run again, and if it stays so "
        "and the database holds no run, delete it",
    ),
    (
        r"out-of-date database schema",
        "back the database up and run `mlflow db upgrade '{address}'`; where that fails it was "
        "made by a newer MLflow: install that one",
    ),
    (r"Can't locate revision", "the database was made by a newer MLflow: install that one"),
    (
        r"experiment \S+ must be in the 'active' state|deleted experiment",
        "restore it with `mlflow experiments restore --experiment-id ID`, or set "
        "MLFLOW_EXPERIMENT_NAME to another one",
    ),
    (
        r"MLFLOW_EXPERIMENT_ID|no experiment with|could not find experiment",
        "set MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME to one that is there; "
        "`mlflow experiments search` lists them",
    ),
    (
        r"run \S+ must be in the 'active' state|run .*is in the deleted state",
        "restore it with `mlflow runs restore --run-id ID`, or start a new one",
    ),
    (
        r"run with id=\S+ not found|run \S+ not found",
        "it was purged (`mlflow gc`) or is in another store; start a new one without MLFLOW_RUN_ID",
    ),
    (
        r"invalid host header|dns rebinding",
        "start the server with --allowed-hosts and this name, or use a name that it allows",
    ),
    (
        r"error code 401|401 client error|unauthenticated|not authenticated|unauthorized",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to "
        "those of the server",
    ),
    (
        r"error code 403|403 client error|permission_denied|'message': 'forbidden'|: forbidden\b",
        "this user may not do that: ask the server's administrator, or set other "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)",
    ),
    (
        r"error code 40[45]|40[45] client error|endpoint_not_found|'detail': 'not found'"
        r"|not in a valid json format|error code 30\d",
        "no MLflow server answers at this address: check MLFLOW_TRACKING_URI, with the path under "
        "which the server is published, such as https://host/mlflow, and with http or https",
    ),
    (
        r"certificate_verify_failed|sslerror|\[ssl",
        "set MLFLOW_TRACKING_SERVER_CERT_PATH to the server's certificates, and check whether "
        "MLFLOW_TRACKING_URI begins with http or https",
    ),
    (
        r"database is locked",
        "another process is writing to the database: run again when it has ended",
    ),
    (
        r"not a database|malformed",
        "the file is damaged or of something else: put a backup in its place, or move it away",
    ),
    (
        r"unable to open database file|readonly database|permission denied|\[errno (13|20|30)\]",
        "check that MLFLOW_TRACKING_URI names a file in a folder that you may write to",
    ),
    (r"disk is full|no space left", "make room on the disk"),
    (
        r"error code (429|5\d\d)|too many (\d+ )?error responses",
        "the server or the proxy before it is overloaded or broken: look at its log, and try again",
    ),
)

#: Where there was no answer at all.
_AWAY = r"failed with exception|timed? ?out|connection (refused|aborted|reset)"


@contextmanager
def as_unavailable(*kinds: type[Exception], address: str | None = None) -> Iterator[None]:
    """Raise errors of MLflow and its database, and those of ``kinds``, as TrackingUnavailable.

    ``address`` is the server's, by default the one that runs are logged to.
    """
    expected: tuple[type[Exception], ...] = (MlflowException, SQLAlchemyError, CommandError)
    try:
        yield
    except (*expected, *kinds) as error:
        raise TrackingUnavailable(refusal(error, address or mlflow.get_tracking_uri())) from error


def absent_as_none(
    call: Callable[[], Result], *kinds: type[Exception], address: str | None = None
) -> Result | None:
    """Return the result of a call, None where MLflow has no such thing; see ``as_unavailable``."""
    with as_unavailable(*kinds, address=address):
        try:
            return call()
        except MlflowException as error:
            if is_absent(error):
                return None
            raise


def is_absent(error: MlflowException) -> bool:
    """Return whether MLflow says that it has no such thing."""
    return error.error_code in _ABSENT  # the second for an alias that was never set


def is_rejected(error: Exception) -> bool:
    """Return whether MLflow will never accept this request."""
    return isinstance(error, MlflowException) and (
        is_absent(error) or error.error_code == "RESOURCE_ALREADY_EXISTS"
    )


def is_temporary(error: BaseException) -> bool:
    """Return whether the same request may succeed later: no answer, overload, a locked database."""
    if "sqlite3." in str(error):
        return "database is locked" in str(error)
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return status in (429, *range(500, 600))
    response = getattr(error, "response", None)
    if isinstance(error, RequestException) and response is not None:
        return response.status_code in (408, 429, *range(500, 600))
    return isinstance(error, RequestException | SQLAlchemyError)


def patience() -> float:
    """Return how many seconds to wait for a server that is away: FLARE_TRACKING_PATIENCE."""
    with suppress(ValueError):
        return max(0.0, float(os.environ.get("FLARE_TRACKING_PATIENCE", "300")))
    return 300.0


def retry(call: Callable[[], Result]) -> Result:
    """Repeat a call while its server is away, with growing pauses, for ``patience`` seconds.

    Other errors are raised at once. The call must be safe to repeat: it may have had its effect.
    """
    deadline, pause = time.monotonic() + patience(), FIRST_PAUSE
    while True:
        try:
            return call()
        except Exception as error:
            left = deadline - time.monotonic()
            if not is_temporary(error) or left <= 0:
                raise
            if pause == FIRST_PAUSE:
                line = refusal(error, mlflow.get_tracking_uri())
                log.warning("%s; trying again for up to %.0f s", line, left)
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)


def refusal(error: BaseException, address: str) -> str:
    """Return in one line what was refused, and the next step; HTML in an answer is left out."""
    text = re.sub(r"\. Response body: '\s*<.*", "", str(error), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if line.strip()]
    reason = " ".join(lines[0].split()) if lines else type(error).__name__
    if "Caused by" in reason:  # urllib3 names pool, address and exceptions first
        reason = reason.rpartition(": ")[2].rstrip("\"')")
    verb = "does not answer" if re.search(_AWAY, text, re.IGNORECASE) else "refused"
    steps = (step for pattern, step in _NEXT_STEPS if re.search(pattern, text, re.IGNORECASE))
    step = next(steps, "check MLFLOW_TRACKING_URI and that its server runs")
    reason = reason[:_LENGTH].rstrip(".; ")
    return f"MLflow at {address} {verb}: {reason}; {step.replace('{address}', address)}"
