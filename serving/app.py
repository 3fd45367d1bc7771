"""The application: ``create_app``, which `python -m serving` and uvicorn's command start."""

import logging
import mimetypes
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from flare import __version__
from flare.errors import ConfigInvalid
from serving.history import History
from serving.http.access import Hosts
from serving.http.connections import Draining, Protocol, Shutdown
from serving.http.failures import document_problems, handle_failures
from serving.http.request_log import RequestLog, set_up_log
from serving.metrics import Metrics
from serving.models.follower import Follower
from serving.models.pool import Pool
from serving.models.source import ModelSource, source_of
from serving.routes import forecast, information, model
from serving.service import Service
from serving.settings import Settings, read_settings
from serving.uploads.body import BodyLimit, Buffers

log = logging.getLogger("flare.serving")

#: How long a start waits for the first model. After it the server answers 503 until there is one,
#: so that /health answers while a registry hangs.
FIRST_MODEL_SECONDS = 10.0

PAGE = Path(__file__).resolve().parent / "page" / "static"

DESCRIPTION = (
    "Forecasts the largest GOES soft X-ray flare of a solar active region in the next 24 hours "
    "from ten SDO channels at four times, with the version that carries the production alias. "
    "Every answer names the one model version that it comes from. Every failure is a `Problem`."
)
TAGS = [
    {"name": "forecasts", "description": "Send samples, get forecasts; list recent ones."},
    {"name": "model", "description": "The model that answers, and an input to try it with."},
    {"name": "operations", "description": "For probes and monitoring."},
]


def create_app(settings: Settings | None = None, source: ModelSource | None = None) -> FastAPI:
    """Make the application.

    Without ``settings`` the environment is read; a value that cannot be used there ends the process
    with one line and exit code 2, because uvicorn would show a traceback. Without a ``source`` it
    is the folder or registry that the settings name.
    """
    if settings is None:
        try:
            settings = read_settings()
        except ConfigInvalid as invalid:
            sys.stderr.write(f"error: {invalid}\n")
            _stop_supervisor()
            raise SystemExit(2) from invalid
        Protocol.header_seconds = settings.header_seconds
    metrics, shutdown = Metrics(), Shutdown(grace_seconds=settings.grace_seconds)

    # Its pages bring their scripts along: a cluster without internet has documentation too.
    app = FastAPIOffline(
        openapi_tags=TAGS,
        redoc_url=None,
        redirect_slashes=False,
        title="Solar-flare forecasts",
        description=DESCRIPTION,
        version=__version__,
        lifespan=_lifespan(settings, source, metrics, shutdown),
    )
    app.include_router(forecast.router)
    app.include_router(model.router)
    app.include_router(information.router)
    add_page(app)
    _add_middleware(app, settings, metrics, shutdown)
    handle_failures(app, settings)
    document_problems(app)
    set_up_log(settings)
    if multiprocessing.parent_process() is not None:
        log.warning("this is one of several workers: GET /metrics counts the requests of one only")
    return app


def add_page(app: FastAPI) -> None:
    """Serve the page for people at ``/`` and its files below ``/page/``."""
    # Some machines have other types for these.
    mimetypes.add_type("text/javascript", ".js")
    mimetypes.add_type("text/css", ".css")
    mimetypes.add_type("image/svg+xml", ".svg")
    files = StaticFiles(directory=PAGE)

    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.add_api_route("/", index, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/page", files, name="page")


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics, shutdown: Shutdown) -> None:
    """Add the middleware from the inside to the outside: a request passes the last one first."""
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-API-Key", "Authorization", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if settings.hosts:
        app.add_middleware(Hosts, hosts=settings.hosts)
    app.add_middleware(Draining, shutdown=shutdown)
    app.add_middleware(RequestLog, metrics=metrics, logged=settings.access_log)


def _lifespan(
    settings: Settings, source: ModelSource | None, metrics: Metrics, shutdown: Shutdown
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        follower = Follower(
            source_of(settings) if source is None else source,
            poll_seconds=settings.poll_seconds,
            cores=settings.cores,
        )
        pool = Pool(
            cores=settings.cores,
            max_waiting=settings.max_waiting,
            max_batch_samples=2 * settings.max_batch,
            time_limit=settings.time_limit_seconds,
        )
        buffers = Buffers(
            max_bytes=settings.max_buffered_bytes, max_body_bytes=settings.max_upload_bytes
        )
        history = History(settings.state_dir, rows=settings.history_rows)
        app.state.service = Service(settings, follower, pool, buffers, history, metrics, shutdown)
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

    return lifespan


def _stop_supervisor() -> None:
    """End the uvicorn process that started this worker: it would start another one for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None and supervisor.pid is not None:
        os.kill(supervisor.pid, signal.SIGTERM)
