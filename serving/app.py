"""The application: ``uvicorn serving.app:create_app --factory --host 0.0.0.0 --port 8000``."""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from flare import __version__
from flare.errors import ConfigInvalid
from serving.history import History
from serving.http.access import Access
from serving.http.document import TAGS, document_problems
from serving.http.hosts import Hosts
from serving.http.logs import show_log
from serving.http.problems import answer_failures
from serving.http.protocol import use_everywhere
from serving.http.shutdown import Draining, Shutdown
from serving.metrics import Metrics
from serving.models.engine import for_cores
from serving.models.follower import Follower
from serving.models.pool import Pool
from serving.models.source import ModelSource, source_of
from serving.page import add_page
from serving.routes import forecast, information
from serving.service import Service
from serving.settings import Settings, read_settings
from serving.uploads.body_limit import BodyLimit
from serving.uploads.buffers import Buffers

log = logging.getLogger("flare.serving")

#: How long a start waits for the first model. After it the server answers 503 until there is one,
#: so that a registry that hangs does not keep /health from answering.
FIRST_MODEL_SECONDS = 10.0

DESCRIPTION = (
    "Forecasts the largest GOES soft X-ray flare of a solar active region in the next 24 hours "
    "from ten SDO channels at four times, with the version that carries the production alias. "
    "Every answer names the one model version that it comes from. Every failure is a `Problem`."
)


def create_app(settings: Settings | None = None, source: ModelSource | None = None) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings
        None reads the environment; a value that cannot be used there ends the process with one
        line and exit code 2, because uvicorn would show a traceback.
    source
        None takes the folder or registry that the settings name.
    """
    if settings is None:
        try:
            settings = read_settings()
        except ConfigInvalid as invalid:
            sys.stderr.write(f"error: {invalid}\n")
            _stop_supervisor()
            raise SystemExit(2) from invalid
        use_everywhere(header_seconds=settings.header_seconds)
    chosen, metrics = settings, Metrics()
    shutdown = Shutdown(grace_seconds=chosen.grace_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        follower = Follower(
            source_of(chosen) if source is None else source,
            poll_seconds=chosen.poll_seconds,
            prepare=for_cores(chosen.cores),
        )
        pool = Pool(
            cores=chosen.cores,
            max_waiting=chosen.max_waiting,
            max_batch_samples=2 * chosen.max_batch,
            time_limit=chosen.time_limit_seconds,
        )
        buffers = Buffers(
            max_bytes=chosen.max_buffered_bytes, max_body_bytes=chosen.max_upload_bytes
        )
        history = History(chosen.state_dir, rows=chosen.history_rows)
        app.state.service = Service(chosen, follower, pool, buffers, history, metrics, shutdown)
        follower.start()
        try:
            await to_thread.run_sync(follower.wait_for_first_poll, FIRST_MODEL_SECONDS)
            with shutdown.handling_signals():
                yield
        finally:
            # Requests have ended by now, or uvicorn has given them up.
            await to_thread.run_sync(follower.stop)
            await pool.close()
            await to_thread.run_sync(history.close)

    # Its pages bring their scripts along: a cluster without internet has documentation too.
    app = FastAPIOffline(
        openapi_tags=TAGS,
        redoc_url=None,
        redirect_slashes=False,
        title="Solar-flare forecasts",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
    )
    app.include_router(forecast.router)
    app.include_router(information.router)
    add_page(app)
    app.add_middleware(BodyLimit, max_bytes=chosen.max_upload_bytes)
    if chosen.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=chosen.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-API-Key", "Authorization", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if chosen.hosts:
        app.add_middleware(Hosts, hosts=chosen.hosts)
    app.add_middleware(Draining, shutdown=shutdown)
    app.add_middleware(Access, metrics=metrics, logged=chosen.access_log)
    answer_failures(app, chosen)
    document_problems(app)
    show_log(chosen)
    if multiprocessing.parent_process() is not None:
        log.warning("this is one of several workers: GET /metrics counts the requests of one only")
    return app


def _stop_supervisor() -> None:
    """End uvicorn where it started this worker: it would start another one for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None and supervisor.pid is not None:
        os.kill(supervisor.pid, signal.SIGTERM)
