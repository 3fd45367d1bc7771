"""The endpoint that explains a forecast: what it rests on, by occlusion."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from serving.http.access import check_key
from serving.models.source import Loaded
from serving.routes.forecast import (
    IMAGES_DESCRIPTION,
    NPY_DESCRIPTION,
    PROBLEMS,
    StatedScale,
    body_of,
)
from serving.routes.information import EXAMPLES, example_npy
from serving.schemas import Answer, Probability
from serving.service import explain, service_of
from serving.uploads.samples import Samples, sample_of_any, sample_of_npy

router = APIRouter(dependencies=[Depends(check_key)], tags=["forecasts"])

Points = list[float | None]
Event = Annotated[
    Literal["B1.0", "C1.0", "M1.0", "X1.0"],
    Query(description="Event whose probability is explained."),
]

#: Features in an answer.
MOST_FEATURES = 10


class Explanation(Answer):
    """Contributions to a probability, in percentage points: the probability minus that without.

    Contributions do not add up: of two images that say the same, hiding either changes little.
    """

    event: str = Field(description="Event whose probability is explained.")
    probability: Probability = Field(description="Its probability, of the whole sample.")
    model_name: str = Field(description="Model that answered.")
    model_version: str = Field(description="The one version that answered.")
    synthetic: bool = Field(description="Whether the model was trained on synthetic data.")
    channel_names: list[str] = Field(description="Channels, in the order of the columns.")
    step_names: list[str] = Field(description="Times before the window, in the order of the rows.")
    images: list[Points] = Field(
        description="Of each image, by time and channel; null where it is missing."
    )
    channels: Points = Field(
        description="Of each channel at all times, in the order of `channel_names`."
    )
    steps: Points = Field(description="Of each time in all channels.")
    places: list[list[float]] = Field(
        description="Of each place in all images, rows from the top; it is hidden by the median "
        "grey level of each image."
    )
    features: dict[str, float] = Field(
        description=f"Of the {MOST_FEATURES} strongest features, for models of features alone."
    )


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
    request: Request, event: Event = "M1.0", scale: StatedScale = None
) -> Explanation:
    """Hide each image, channel, time and place in turn, and forecast again: about 120 forecasts.

    The answer takes about a second on two cores, and at most FLARE_EXPLAIN_SECONDS.
    """
    read = partial(
        sample_of_any,
        content_type=request.headers.get("content-type", ""),
        max_bytes=service_of(request).settings.max_upload_bytes,
        scale=scale,
    )
    live, explanation = await explain(request, read, event=event)
    return _answer(live, explanation.values())


@router.get(
    "/explain",
    operation_id="explain_example",
    summary="What the forecast of the example rests on",
    responses=PROBLEMS,
)
async def explain_example(request: Request, event: Event = "M1.0") -> Explanation:
    """Explain the forecast of the sample of GET /sample.npy, as POST /explain does."""

    def read(_: bytes) -> Samples:
        return sample_of_npy(example_npy(EXAMPLES), "")

    live, explanation = await explain(request, read, event=event)
    return _answer(live, explanation.values())


def _answer(live: Loaded, values: dict[str, Any]) -> Explanation:
    strongest = dict(list(values["features"].items())[:MOST_FEATURES])
    return Explanation(
        **{name: values[name] for name in Explanation.model_fields.keys() & values.keys()}
        | {"features": strongest},
        model_name=live.name,
        model_version=live.version.number,
        synthetic=live.forecaster.origin.synthetic,
    )
