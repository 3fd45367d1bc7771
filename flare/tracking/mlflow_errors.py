"""What MLflow, its server or a proxy before it refused, in one line with the next step.

MLflow gives most refusals the same class, so they are told apart by status and by words.
"""

import re

_LENGTH = 400  # characters of what MLflow says

#: What a message matches, and what to do then; the first match counts.
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
    (
        r"Can't locate revision",
        "the database was made by a newer MLflow: install that one",
    ),
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
    (
        r"disk is full|no space left",
        "make room on the disk",
    ),
    (
        r"error code (429|5\d\d)|too many (\d+ )?error responses",
        "the server or the proxy before it is overloaded or broken: look at its log, and try again",
    ),
)

#: Where nobody answered at all.
_AWAY = r"failed with exception|timed? ?out|connection (refused|aborted|reset)"


def refusal(error: Exception, address: str) -> str:
    """Return what was refused and the next step; a page of HTML in an answer is left out."""
    text = re.sub(r"\. Response body: '\s*<.*", "", str(error), flags=re.DOTALL)
    lines = [line for line in text.splitlines() if line.strip()]
    said = " ".join(lines[0].split())[:_LENGTH] if lines else type(error).__name__
    verb = "does not answer" if re.search(_AWAY, text, re.IGNORECASE) else "refused"
    return f"MLflow at {address} {verb}: {said.rstrip('.; ')}; {next_step(text, address)}"


def next_step(text: str, address: str) -> str:
    """Return what to do about a refusal with such a text."""
    for pattern, advice in _NEXT_STEPS:
        if re.search(pattern, text, re.IGNORECASE):
            return advice.replace("{address}", address)
    return "check MLFLOW_TRACKING_URI and that its server runs"
