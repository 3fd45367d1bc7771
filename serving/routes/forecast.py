"""The endpoints that forecast. Each answer comes from one version of one model, and names it."""

from functools import partial
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request

from flare.images.grey_scale import Scale
from serving.http.access import check_key
from serving.http.problems import Problem, UploadRejected
from serving.schemas import Batch, BatchMember, ImagesPrediction, LeftOut, Prediction
from serving.service import forecast, forecast_batch, service_of
from serving.uploads.samples import open_batch, sample_of_images, sample_of_npy
from serving.uploads.statements import FACTS

router = APIRouter(dependencies=[Depends(check_key)], tags=["forecasts"])

NPY_DESCRIPTION = (
    "A .npy file of shape (40, 256, 256), the 10 channels of the first time step first, or "
    "(4, 10, 256, 256), in C order. Channels: 94, 131, 171, 193, 211, 304, 335, 1700 Angstrom, HMI "
    "continuum, HMI magnetogram; steps: 0, 420, 630 and 710 minutes into the 12-hour input window. "
    "Values are SDOBenchmark's grey levels: integers or floats in 0..255, or floats of at most 1, "
    "read as fractions of 255; floats are rounded to the nearest level. Floats that could be "
    "either are refused unless `scale` says which. An image of a single value counts as missing; "
    "NaN is refused."
)
BATCH_DESCRIPTION = (
    "A .npy file of shape (N, 40, 256, 256) or (N, 4, 10, 256, 256), or a .npz with one such array "
    "or with one array for each sample, whose name becomes its id. Values as for one sample; N is "
    "at most FLARE_MAX_BATCH, and the body at most FLARE_MAX_UPLOAD_BYTES."
)
IMAGES_DESCRIPTION = (
    "Up to 40 grey JPEG or PNG files of 256 x 256 pixels, named as in SDOBenchmark "
    "(`2012-01-15T000000__131.jpg`), or one .zip of them. Images that are not sent are missing."
)

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The form, file or zip is damaged or incomplete."},
    401: {"model": Problem, "description": "The API key is missing or wrong."},
    408: {"model": Problem, "description": "The upload is too slow."},
    413: {"model": Problem, "description": "The body, or what a zip unpacks to, is too large."},
    415: {"model": Problem, "description": "The body or file is of another type."},
    422: {"model": Problem, "description": "Wrong shape, type, order, values, names or images."},
    500: {"model": Problem, "description": "A defect of the server or the model."},
    503: {
        "model": Problem,
        "description": "No model yet, a limit is reached, or the server is shutting down.",
        "headers": {
            "Retry-After": {
                "description": "Seconds after which to ask again.",
                "schema": {"type": "integer", "minimum": 1},
            }
        },
    },
}

_BINARY = {"type": "string", "format": "binary"}

SCALE_DESCRIPTION = (
    "Scale of floats: `fraction` where 1 is white, `level` where 255 is. Without it the values "
    "decide, and floats that could be either are refused."
)


async def _scale_of_query(
    request: Request, scale: Annotated[Scale | None, Query(description=SCALE_DESCRIPTION)] = None
) -> Scale | None:
    stated = set(request.query_params.getlist("scale"))
    if len(stated) > 1:
        detail = f"the scale is stated as {' and '.join(map(repr, sorted(stated)))}"
        raise UploadRejected(422, "wrong_scale", detail, hint="state one: fraction or level")
    return scale


StatedScale = Annotated[Scale | None, Depends(_scale_of_query)]

_ONCE = "Once for all samples of a batch, or once for each."
FACT_DESCRIPTIONS = {
    "issue_time": "When the forecast is issued: ISO 8601 with a zone; by default `valid_from`.",
    "valid_from": "When the forecast window begins, the end of the input window: ISO 8601 with a "
    "zone; by default `issue_time`. Images state it by their names.",
    "valid_to": "When the forecast window ends: ISO 8601 with a zone, `window_hours` after "
    "`valid_from`, from which it follows.",
    "active_region": "NOAA number of the active region, 1 to 99999, such as 12673.",
}


def _statement(name: str) -> Any:
    text = f"{FACT_DESCRIPTIONS[name]} {_ONCE}"
    return Query(description=text, max_length=10_000)


async def _facts_of_query(
    issue_time: Annotated[list[str] | None, _statement("issue_time")] = None,
    valid_from: Annotated[list[str] | None, _statement("valid_from")] = None,
    valid_to: Annotated[list[str] | None, _statement("valid_to")] = None,
    active_region: Annotated[list[str] | None, _statement("active_region")] = None,
) -> dict[str, list[str]]:
    values = (issue_time, valid_from, valid_to, active_region)
    return {name: given or [] for name, given in zip(FACTS, values, strict=True)}


StatedFacts = Annotated[dict[str, list[str]], Depends(_facts_of_query)]


def body_of(
    description: str, raw: str, *, field: str = "file", many: bool = False
) -> dict[str, Any]:
    """Describe a body that is a form with a file, or the file itself, for OpenAPI."""
    fields: dict[str, Any] = {field: {**_BINARY, "description": description}}
    if many:
        fields[field] = {"type": "array", "items": _BINARY, "description": description}
    else:
        kinds = list(get_args(Scale))
        fields["scale"] = {"type": "string", "enum": kinds, "description": SCALE_DESCRIPTION}
    for name, text in FACT_DESCRIPTIONS.items():
        fields[name] = {"type": "string", "description": f"{text} {_ONCE}"}
    form = {"type": "object", "required": [field], "properties": fields}
    return {
        "requestBody": {
            "required": True,
            "description": description,
            "content": {
                "multipart/form-data": {"schema": form},
                raw: {"schema": {**_BINARY, "description": description}},
            },
        }
    }


@router.post(
    "/predict_npy",
    operation_id="predict_npy",
    summary="Forecast from one sample as an array",
    responses=PROBLEMS,
    openapi_extra=body_of(NPY_DESCRIPTION, "application/octet-stream"),
)
async def predict_npy(
    request: Request, stated: StatedFacts, scale: StatedScale = None
) -> Prediction:
    """Forecast the largest flare of an active region in the 24 hours after the input window."""
    content_type = request.headers.get("content-type", "")
    read = partial(sample_of_npy, content_type=content_type, scale=scale, stated=stated)
    return (await forecast(request, read, source="npy")).predictions[0]


@router.post(
    "/predict_images",
    operation_id="predict_images",
    summary="Forecast from one sample as images",
    responses=PROBLEMS,
    openapi_extra=body_of(IMAGES_DESCRIPTION, "application/zip", field="files", many=True),
)
async def predict_images(request: Request, stated: StatedFacts) -> ImagesPrediction:
    """Forecast from images whose names state time and channel; gaps are allowed.

    An image that is all of one value, or that the instrument team flagged, counts as missing.
    """
    read = partial(
        sample_of_images,
        content_type=request.headers.get("content-type", ""),
        max_bytes=service_of(request).settings.max_upload_bytes,
        stated=stated,
    )
    result = await forecast(request, read, source="images")
    left_out = [LeftOut(file=name, reason=reason) for name, reason in result.left_out]
    return ImagesPrediction(**dict(result.predictions[0]), left_out=left_out)


@router.post(
    "/predict_batch",
    operation_id="predict_batch",
    summary="Forecast from many samples",
    responses=PROBLEMS,
    openapi_extra=body_of(BATCH_DESCRIPTION, "application/octet-stream"),
)
async def predict_batch(request: Request, stated: StatedFacts, scale: StatedScale = None) -> Batch:
    """Forecast from N samples with one model version; all are refused where one cannot be used."""
    settings = service_of(request).settings
    read = partial(
        open_batch,
        content_type=request.headers.get("content-type", ""),
        most=settings.max_batch,
        max_bytes=settings.max_upload_bytes,
        scale=scale,
        stated=stated,
    )
    result = await forecast_batch(request, read, source="batch")
    members = [
        BatchMember(**dict(one), id=name)
        for name, one in zip(result.ids, result.predictions, strict=True)
    ]
    live = result.live
    return Batch(model_name=live.name, model_version=live.version.number, forecasts=members)
