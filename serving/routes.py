"""The endpoints. Each takes one snapshot of the live model and answers from that alone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from serving.engine import predict_upload
from serving.example import EXAMPLES, example_npy
from serving.follower import Follower
from serving.schemas import Health, Prediction, Problem, Ready
from serving.settings import Settings

router = APIRouter()

UPLOAD_DESCRIPTION = (
    "A .npy file of shape (40, 256, 256), the 10 channels of the first time step first, or "
    "(4, 10, 256, 256). Channels: 94, 131, 171, 193, 211, 304, 335, 1700 Angstrom, HMI continuum, "
    "HMI magnetogram; steps: 0, 420, 630 and 710 minutes into the 12-hour input window. Values "
    "are SDOBenchmark's grey levels: integers or floats in 0..255, or floats whose maximum is at "
    "most 1, meant as fractions of 255; floats are rounded to the nearest level. An image of "
    "zeros counts as missing; NaN is refused."
)

NO_MODEL: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "No model yet; `Retry-After` says when to ask again."}
}
UPLOAD_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The form or the .npy file is damaged."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The file is no .npy file."},
    422: {"model": Problem, "description": "No field `file`; or type, shape or values are wrong."},
    500: {"model": Problem, "description": "A defect of the server or the model."},
}


@dataclass(frozen=True)
class Service:
    """What the endpoints need, kept in ``app.state.service`` while the app lives."""

    settings: Settings
    follower: Follower
    limiter: CapacityLimiter


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


@router.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    """Lead a browser to the documentation."""
    return RedirectResponse("/docs")


@router.get("/health", summary="How the server is doing")
async def health(request: Request) -> Health:
    """Say whether a model is loaded, which one, and why the latest look for one failed."""
    service = _service(request)
    settings, live = service.settings, service.follower.live
    return Health(
        status="no model" if live is None else "ok",
        model_loaded=live is not None,
        device="cpu",
        model_name=settings.model_name if live is None else live.name,
        model_version=None if live is None else live.version,
        alias=settings.alias if settings.model_folder is None else None,
        checkpoint_path=None if live is None or live.folder is None else str(live.folder),
        loaded_at=None if live is None else live.loaded_at,
        age_seconds=None if live is None else (datetime.now(UTC) - live.loaded_at).total_seconds(),
        last_error=service.follower.last_error,
    )


@router.get("/ready", summary="Whether it can forecast", responses=NO_MODEL)
async def ready(request: Request) -> Ready:
    """Answer 200 once a model is loaded, 503 before: for load balancers and start scripts."""
    live = _service(request).follower.snapshot()
    return Ready(status="ready", model_version=live.version)


@router.post(
    "/predict_npy", summary="Forecast from one sample", responses=UPLOAD_PROBLEMS | NO_MODEL
)
async def predict_npy(
    request: Request, file: Annotated[UploadFile, File(description=UPLOAD_DESCRIPTION)]
) -> Prediction:
    """Forecast the largest flare of an active region in the 24 hours after the input window."""
    service = _service(request)
    live = service.follower.snapshot()
    data = await file.read()
    return await to_thread.run_sync(predict_upload, live, data, limiter=service.limiter)


@router.get(
    "/sample.npy",
    summary="An example input",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "uint8 (40, 256, 256)"},
        404: {"model": Problem, "description": "This installation has no data/example."},
    },
)
def sample_npy() -> Response:  # no coroutine: the first call decodes 40 images, in a thread
    """Download a sample that POST /predict_npy takes as it is."""
    return Response(
        example_npy(EXAMPLES),
        media_type="application/octet-stream",
        headers={"Content-Disposition": 'attachment; filename="sample.npy"'},
    )
