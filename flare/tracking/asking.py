"""Asking a server once more that is away or busy: for what cannot wait in a run's journal."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import mlflow
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from flare.tracking.outbox import patience
from flare.tracking.sending import is_refused

log = logging.getLogger("flare")

Answer = TypeVar("Answer")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


def asked_again(ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer, for as long as ``patience``; then raise what came instead.

    ``ask`` may have been heard before although no answer came: it must not do harm twice.
    """
    ends, pause = time.monotonic() + patience(), _FIRST_PAUSE
    while True:
        try:
            return ask()
        except (MlflowException, SQLAlchemyError, RequestException) as error:
            left = ends - time.monotonic()
            if is_refused(error) or left <= 0:
                raise
            if pause == _FIRST_PAUSE:
                log.warning(
                    "MLflow at %s does not answer: asking again for up to %.0f s",
                    mlflow.get_tracking_uri(),
                    left,
                )
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def asked_once(away: bool) -> Iterator[None]:
    """Ask a server that is away no second time, and not for long."""
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
    before = {name: os.environ[name] for name in names if away and name in os.environ}
    os.environ.update(zip(before, ("0", "2"), strict=False))
    try:
        yield
    finally:
        os.environ.update(before)
