"""The application: ``uvicorn serving.app:create_app --factory --host 0.0.0.0 --port 8000``."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from flare import __version__
from flare.errors import ConfigInvalid
from serving.body_limit import BodyLimit
from serving.follower import Follower
from serving.problems import answer_failures
from serving.routes import Service, router
from serving.settings import Settings, read_settings
from serving.source import ModelSource, source_of

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
            raise SystemExit(2) from invalid
    chosen, models = settings, source_of(settings) if source is None else source

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        follower = Follower(models, poll_seconds=chosen.poll_seconds)
        # A forecast keeps a core busy: more of them at once would only slow each other down.
        app.state.service = Service(chosen, follower, CapacityLimiter(os.cpu_count() or 1))
        follower.start()
        try:
            await to_thread.run_sync(follower.wait_for_first_poll, FIRST_MODEL_SECONDS)
            yield
        finally:
            await to_thread.run_sync(follower.stop)

    # Its pages bring their scripts along: a cluster without internet has documentation too.
    app = FastAPIOffline(
        redoc_url=None,
        title="Solar-flare forecasts",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
    )
    app.include_router(router)
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    answer_failures(app, settings)
    return app
