"""The endpoints that forecast and explain. Each answer comes from one version, and names it."""

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from flare.images.grey_scale import Scale
from serving.http.access import check_key
from serving.http.problems import problem_responses
from serving.models.source import Loaded
from serving.routes.information import EXAMPLES, example_npy
from serving.schemas import (
    MOST_FEATURES,
    Batch,
    BatchMember,
    Explanation,
    ImagesPrediction,
    LeftOut,
    Prediction,
)
from serving.service import explain, forecast, forecast_batch
from serving.uploads.arrays import sample_of_npy
from serving.uploads.images import sample_of_any, sample_of_images
from serving.uploads.upload import Upload

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

PROBLEMS = problem_responses(
    {
        400: "The form, file or zip is damaged or incomplete.",
        401: "The API key is missing or wrong.",
        408: "The upload is too slow.",
        413: "The body, or what a zip unpacks to, is too large.",
        415: "The body or file is of another type.",
        422: "Wrong shape, type, order, values, names or images.",
        500: "A defect of the server or the model.",
        503: "No model yet, a limit is reached, or the server is shutting down.",
    }
)
PROBLEMS[503]["headers"] = {
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}

_BINARY = {"type": "string", "format": "binary"}

_ONCE = "Once for all samples of a batch, or once for each."
SCALE_DESCRIPTION = (
    "Scale of floats: `fraction` where 1 is white, `level` where 255 is. Without it the values "
    "decide, and floats that could be either are refused."
)

Texts = list[str] | None
StatedScale = Annotated[Scale | None, Query(alias="scale", description=SCALE_DESCRIPTION)]


class Facts(BaseModel):
    """What the query may state of images; `Upload` reads it, also from the fields of a form."""

    issue_time: Texts = Field(
        None,
        max_length=10_000,
        description="When the forecast is issued: ISO 8601 with a zone; by default `valid_from`. "
        f"{_ONCE}",
    )
    valid_from: Texts = Field(
        None,
        max_length=10_000,
        description="When the forecast window begins, the end of the input window: ISO 8601 with a "
        f"zone; by default `issue_time`. Images state it by their names. {_ONCE}",
    )
    valid_to: Texts = Field(
        None,
        max_length=10_000,
        description="When the forecast window ends: ISO 8601 with a zone, `window_hours` after "
        f"`valid_from`, from which it follows. {_ONCE}",
    )
    active_region: Texts = Field(
        None,
        max_length=10_000,
        description=f"NOAA number of the active region, 1 to 99999, such as 12673. {_ONCE}",
    )


class FactsAndScale(Facts):
    """What the query may state of arrays."""

    scale: Scale | None = Field(None, description=SCALE_DESCRIPTION)


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
    for name, stated in Facts.model_fields.items():
        fields[name] = {"type": "string", "description": stated.description}
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
async def predict_npy(request: Request, _: Annotated[FactsAndScale, Query()]) -> Prediction:
    """Forecast the largest flare of an active region in the 24 hours after the input window."""
    return (await forecast(request, sample_of_npy, source="npy")).predictions[0]


@router.post(
    "/predict_images",
    operation_id="predict_images",
    summary="Forecast from one sample as images",
    responses=PROBLEMS,
    openapi_extra=body_of(IMAGES_DESCRIPTION, "application/zip", field="files", many=True),
)
async def predict_images(request: Request, _: Annotated[Facts, Query()]) -> ImagesPrediction:
    """Forecast from images whose names state time and channel; gaps are allowed.

    An image that is all of one value, or that the instrument team flagged, counts as missing.
    """
    result = await forecast(request, sample_of_images, source="images")
    left_out = [LeftOut(file=name, reason=reason) for name, reason in result.left_out]
    return ImagesPrediction(**dict(result.predictions[0]), left_out=left_out)


@router.post(
    "/predict_batch",
    operation_id="predict_batch",
    summary="Forecast from many samples",
    responses=PROBLEMS,
    openapi_extra=body_of(BATCH_DESCRIPTION, "application/octet-stream"),
)
async def predict_batch(request: Request, _: Annotated[FactsAndScale, Query()]) -> Batch:
    """Forecast from N samples with one model version; all are refused where one cannot be used."""
    result = await forecast_batch(request)
    members = [
        BatchMember(**dict(one), id=name)
        for name, one in zip(result.ids, result.predictions, strict=True)
    ]
    live = result.live
    return Batch(model_name=live.name, model_version=live.version.number, forecasts=members)


Event = Annotated[
    Literal["B1.0", "C1.0", "M1.0", "X1.0"],
    Query(description="Event whose probability is explained."),
]


@router.post(
    "/explain",
    operation_id="explain",
    summary="What a forecast rests on",
    responses=PROBLEMS,
    openapi_extra=body_of(
        f"One sample, as for /predict_npy or /predict_images. {NPY_DESCRIPTION} Or images in "
        f"fields named `files`, or a zip: {IMAGES_DESCRIPTION}",
        "application/octet-stream",
    ),
)
async def explain_sample(
    request: Request, event: Event = "M1.0", _: StatedScale = None
) -> Explanation:
    """Hide each image, channel, time and place in turn, and forecast again: about 120 forecasts.

    The answer takes about a second on two cores, and at most FLARE_EXPLAIN_SECONDS.
    """
    live, explanation = await explain(request, sample_of_any, event=event)
    return _explanation(live, explanation.values())


@router.get(
    "/explain",
    operation_id="explain_example",
    summary="What the forecast of the example rests on",
    responses=PROBLEMS,
)
async def explain_example(request: Request, event: Event = "M1.0") -> Explanation:
    """Explain the forecast of the sample of GET /sample.npy, as POST /explain does."""
    live, explanation = await explain(
        request, lambda _: sample_of_npy(Upload(example_npy(EXAMPLES))), event=event
    )
    return _explanation(live, explanation.values())


def _explanation(live: Loaded, values: dict[str, Any]) -> Explanation:
    values["features"] = dict(list(values["features"].items())[:MOST_FEATURES])
    return Explanation(
        **{name: values[name] for name in Explanation.model_fields.keys() & values.keys()},
        model_name=live.name,
        model_version=live.version.number,
        synthetic=live.forecaster.origin.synthetic,
    )
