"""The endpoint that describes the model, and the fields of its answer."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flare.forecasters.base import ForecasterSpec
from flare.sample import IMAGE_SIZE
from flare.tracking.tags import KIND_TAG
from serving.http.access import check_key
from serving.routes.information import NO_KEY, NO_MODEL
from serving.schemas import Answer, Prediction, Probability
from serving.service import service_of

router = APIRouter(tags=["model"])


class ScoreValue(Answer):
    """One verification score with its interval over active regions."""

    model_config = ConfigDict(extra="ignore")

    event: str = Field(description="Event such as `M1.0`, or `flux`.")
    name: str = Field(description="Name of the score, such as `true_skill_statistic`.")
    value: float | None = Field(description="The score; null where it is undefined.")
    low: float | None = Field(description="Lower end of its 95 % interval.")
    high: float | None = Field(description="Upper end of its 95 % interval.")
    n: int = Field(description="Number of samples.")
    n_events: int | None = Field(None, description="Number of events among the samples.")
    split: str | None = Field(None, description="Split of the data that was scored.")
    data: str | None = Field(None, description="Name of the data, where it is known.")
    synthetic: bool | None = Field(None, description="Whether the data are synthetic.")
    scale: str | None = Field(
        None,
        description="Scale of the labels that define events: `raw` as in SDOBenchmark, `noaa` "
        "or `physical`.",
    )


class ReliabilityBin(Answer):
    """How often class M or X followed where the forecast probability was about the same."""

    forecast: Probability = Field(description="Mean forecast probability.")
    observed: Probability = Field(description="How often the event followed, a probability.")
    low: float = Field(description="Lower end of the 95 % interval of `observed`.")
    high: float = Field(description="Upper end of the 95 % interval of `observed`.")
    n: int = Field(description="Number of forecasts.")


class Model(Answer):
    """The model that answers now, as its registry knows it."""

    name: str = Field(description="Name of the model.")
    version: str = Field(description="Version that answers now.")
    uri: str = Field(description="Address or folder of the model.")
    kind: str = Field(description="Kind of model: `neural`, `forest`, `ensemble`, ...")
    family: str | None = Field(description="Architecture or model family.")
    run_id: str | None = Field(description="MLflow run that trained the model.")
    synthetic: bool = Field(description="Whether the model was trained on synthetic data.")
    data_name: str = Field(description="Dataset that the model was trained on.")
    data_fingerprint: str = Field(description="Fingerprint of that dataset.")
    n_samples: int = Field(
        description="Number of samples that the model was trained or calibrated on."
    )
    n_active_regions: int = Field(description="Number of active regions of these samples.")
    image_size: int = Field(description="Pixels of an edge of the images that the model uses.")
    channels: list[str] = Field(description="Channels in the order of the planes.")
    step_offsets_minutes: list[int] = Field(
        description="Time steps, in minutes into the input window."
    )
    events: list[str] = Field(description="Events with a forecast probability.")
    window_hours: int = Field(description="Length of the forecast window in hours.")
    interval_level: Probability = Field(
        description="Nominal coverage probability of the flux interval."
    )
    thresholds: dict[str, float] = Field(description="Probability from which an event is forecast.")
    base_rates: dict[str, float] = Field(
        description="Event rates that the probabilities are calibrated for."
    )
    signature: dict[str, Any] = Field(description="Input array and fields of an answer.")
    parameters: dict[str, str] = Field(description="Parameters of the run.")
    tags: dict[str, str] = Field(description="Tags of the version.")
    scores: list[ScoreValue] = Field(description="Scores of the latest evaluation.")
    scores_on: str | None = Field(description="Split, data and label scale of the scores, as text.")
    reliability: list[ReliabilityBin] = Field(
        description="Forecast probability of class M or X against how often it followed, on the "
        "data of the scores; empty where it was not stored."
    )
    card: str | None = Field(description="Model card, in Markdown.")


@router.get(
    "/model",
    operation_id="get_model",
    summary="The model that answers",
    responses=NO_MODEL | NO_KEY,
    dependencies=[Depends(check_key)],
)
async def model(request: Request) -> Model:
    """Describe the model: data, parameters, thresholds, scores with intervals, model card."""
    live = service_of(request).follower.snapshot()
    forecaster, details = live.forecaster, live.details
    spec, postprocessing, origin = forecaster.spec, forecaster.postprocessing, forecaster.origin
    tags = dict(details.get("tags") or {})
    return Model(
        name=live.name,
        version=live.version.number,
        uri=live.uri,
        kind=forecaster.kind,
        family=tags.get(KIND_TAG),
        run_id=details.get("run_id"),
        synthetic=origin.synthetic,
        data_name=origin.data_name,
        data_fingerprint=origin.data_fingerprint,
        n_samples=origin.n_samples,
        n_active_regions=len(origin.active_regions),
        image_size=spec.image_size,
        channels=list(spec.channels),
        step_offsets_minutes=list(spec.step_offsets_minutes),
        events=list(spec.events),
        window_hours=spec.window_hours,
        interval_level=spec.interval_level,
        thresholds=dict(postprocessing.thresholds),
        base_rates={**postprocessing.rates, **postprocessing.stated_rates},
        signature=_signature(spec),
        parameters=dict(details.get("parameters") or {}),
        tags=tags,
        scores=_readable(ScoreValue, details.get("scores") or ()),
        reliability=_readable(ReliabilityBin, details.get("reliability") or ()),
        scores_on=details.get("scores_on"),
        card=details.get("card"),
    )


def _signature(spec: ForecasterSpec) -> dict[str, Any]:
    steps, channels = len(spec.step_offsets_minutes), len(spec.channels)
    fields = Prediction.model_json_schema()["properties"]
    return {
        "inputs": {
            "name": "cube",
            "dtype": "uint8",
            "shape": [steps, channels, IMAGE_SIZE, IMAGE_SIZE],
            "axes": ["time step", "channel", "row", "column"],
            "unit": "SDOBenchmark's grey levels 0..255",
        },
        "outputs": {name: field.get("description", "") for name, field in fields.items()},
    }


Part = TypeVar("Part", bound=BaseModel)


def _readable(kind: type[Part], reported: Iterable[dict[str, Any]]) -> list[Part]:
    """Return what can be read: another version of this project may have written it."""
    parts = []
    for one in reported:
        with suppress(ValidationError):
            parts.append(kind(**one))
    return parts
