"""What the server answers, field by field; the API's documentation is made from it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flare.images.grey_scale import LEVEL, Scale

Probability = Annotated[float, Field(ge=0, le=1)]


_EXAMPLE: dict[str, Any] = {
    "peak_flux_w_m2": 5.754e-06,
    "log_flux": -5.24,
    "flare_class": "C",
    "is_mx_flare": False,
    "mx_probability": 0.1,
    "goes_class": "C5.7",
    "flux_low_w_m2": 6.0e-07,
    "flux_high_w_m2": 2.4e-05,
    "interval_level": 0.9,
    "probabilities": {"B1.0": 0.97, "C1.0": 0.62, "M1.0": 0.1, "X1.0": 0.01},
    "alert": True,
    "alert_threshold": 0.07,
    "window_hours": 24,
    "synthetic": False,
    "coherent": True,
    "model_name": "solar-flare",
    "model_version": "3",
    "missing_images": 2,
    "missing": [{"step": 0, "channel": "94"}, {"step": 3, "channel": "magnetogram"}],
    "scale": "level",
}


class Missing(BaseModel):
    """One image of a sample that is not there."""

    model_config = ConfigDict(frozen=True)

    step: Annotated[int, Field(ge=0, le=3, description="Time step, the earliest first.")]
    channel: Annotated[str, Field(description="Wavelength in Angstrom, or the HMI product.")]


class Prediction(BaseModel):
    """A forecast for the window that follows the sample's last image, from one model version."""

    model_config = ConfigDict(
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={"example": _EXAMPLE},
    )

    peak_flux_w_m2: Annotated[
        float,
        Field(
            gt=0,
            description="Forecast peak GOES 1-8 Angstrom flux of the window in W m^-2, on the "
            "scale of SDOBenchmark's labels (NOAA class flux divided by 0.85).",
        ),
    ]
    log_flux: Annotated[float, Field(description="log10 of `peak_flux_w_m2`.")]
    flare_class: Annotated[
        Literal["A", "B", "C", "M", "X"], Field(description="Class letter of `peak_flux_w_m2`.")
    ]
    is_mx_flare: Annotated[
        bool,
        Field(
            description="Whether `mx_probability` is at least 0.5. It follows the probability and "
            "not `flare_class`, and is not tuned; see `alert` for the tuned decision."
        ),
    ]
    mx_probability: Annotated[
        Probability,
        Field(description="P(a peak of at least 1e-5 W m^-2, so class M or X, in the window)."),
    ]
    goes_class: Annotated[str, Field(description="Class with a digit of `peak_flux_w_m2`.")]
    flux_low_w_m2: Annotated[
        float, Field(gt=0, description="Lower end of the flux interval in W m^-2.")
    ]
    flux_high_w_m2: Annotated[
        float, Field(gt=0, description="Upper end of the flux interval in W m^-2.")
    ]
    interval_level: Annotated[
        Probability, Field(description="Share of cases that the flux interval is meant to hold.")
    ]
    probabilities: Annotated[
        dict[str, Probability],
        Field(description="P(a flare of at least this class in the window) by class."),
    ]
    alert: Annotated[bool, Field(description="Whether `mx_probability` reaches `alert_threshold`.")]
    alert_threshold: Annotated[
        float,
        Field(
            description="Probability of the highest true skill statistic on what the model was "
            "tuned on, which `GET /model` names under `tags`; 0.5 where that held no events."
        ),
    ]
    window_hours: Annotated[int, Field(gt=0, description="Length of the window in hours.")]
    synthetic: Annotated[
        bool,
        Field(description="True if the model was trained on synthetic data: for trying out only."),
    ]
    coherent: Annotated[
        bool,
        Field(
            description="Whether flux, interval and probabilities can be of one distribution. "
            "Models that were registered by earlier versions may contradict themselves; then "
            "believe the probabilities."
        ),
    ]
    model_name: Annotated[str, Field(description="Model that answered.")]
    model_version: Annotated[str, Field(description="The one version that answered.")]
    missing_images: Annotated[
        int,
        Field(ge=0, le=39, description="Images missing: planes of a single value, or not sent."),
    ]
    missing: Annotated[list[Missing], Field(description="Which ones.")]
    scale: Annotated[
        Scale,
        Field(
            description="How the numbers that were sent were read: as a `fraction`, of which 1 is "
            "white, or as a `level`, of which 255 is."
        ),
    ] = LEVEL


class LeftOut(BaseModel):
    """An image that was sent and counts as missing."""

    model_config = ConfigDict(frozen=True)

    file: Annotated[str, Field(description="Its name.")]
    reason: Annotated[str, Field(description="Why: `flagged` or `uniform`.")]


class ImagesPrediction(Prediction):
    """A forecast from images, and which of them were left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": _EXAMPLE
            | {"left_out": [{"file": "2012-01-15T000000__94.jpg", "reason": "flagged"}]}
        }
    )

    left_out: Annotated[list[LeftOut], Field(description="Images that count as missing.")]


class BatchMember(Prediction):
    """The forecast of one sample of a batch."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE | {"id": "0"}})

    id: Annotated[str, Field(description="Its position from 0, or its name in the .npz.")]


class Batch(BaseModel):
    """The forecasts of a batch, all from one model version, in the order of the samples."""

    model_config = ConfigDict(frozen=True)

    model_name: Annotated[str, Field(description="Model that answered.")]
    model_version: Annotated[str, Field(description="The one version that answered.")]
    forecasts: Annotated[list[BatchMember], Field(description="One for each sample.")]


class Health(BaseModel):
    """How the process is doing; answered with 200 as long as it lives."""

    model_config = ConfigDict(frozen=True)

    status: Annotated[Literal["ok", "no model"], Field(description="Whether it can forecast.")]
    model_loaded: Annotated[bool, Field(description="The same as a boolean.")]
    device: Annotated[str, Field(description="Where the model computes: `cpu` or `cuda`.")]
    engine: Annotated[
        str | None, Field(description="What computes: `onnxruntime`, `torch` or `numpy`.")
    ]
    model_name: Annotated[str, Field(description="Model that is served, or waited for.")]
    model_version: Annotated[str | None, Field(description="Version that answers now.")]
    alias: Annotated[
        str | None, Field(description="Alias that is followed; null for a folder or a fixed model.")
    ]
    checkpoint_path: Annotated[
        str | None, Field(description="Folder it was loaded from; only for those who have the key.")
    ]
    loaded_at: Annotated[datetime | None, Field(description="When it was loaded, UTC.")]
    age_seconds: Annotated[float | None, Field(description="Seconds since then.")]
    polled_at: Annotated[
        datetime | None,
        Field(description="When the registry last said which version is current, UTC."),
    ]
    last_error: Annotated[
        str | None,
        Field(
            description="Why the latest look for a model failed; null if it did not. Paths and "
            "addresses in it are for those who have the key, and in the log."
        ),
    ]


class Ready(BaseModel):
    """That the server can forecast."""

    model_config = ConfigDict(frozen=True)

    status: Annotated[Literal["ready"], Field(description="Always the same: it can forecast.")]
    model_version: Annotated[str, Field(description="Version that answers now.")]


class ScoreValue(BaseModel):
    """One verification score with its interval over active regions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Annotated[str, Field(description="Event such as `M1.0`, or `flux`.")]
    name: Annotated[str, Field(description="Score, in the field's term.")]
    value: Annotated[float | None, Field(description="The score; null where it is undefined.")]
    low: Annotated[float | None, Field(description="Lower end of its 95 % interval.")]
    high: Annotated[float | None, Field(description="Upper end.")]
    n: Annotated[int, Field(description="Samples.")]
    n_events: Annotated[int | None, Field(description="Events among them.")] = None
    split: Annotated[str | None, Field(description="Split of the data that they are of.")] = None
    data: Annotated[str | None, Field(description="Name of these data, where it is known.")] = None
    synthetic: Annotated[bool | None, Field(description="Whether these data are invented.")] = None
    scale: Annotated[
        str | None,
        Field(
            description="Scale of the labels that events are counted on: `raw` as SDOBenchmark has "
            "them, `noaa` or `physical`."
        ),
    ] = None


class Model(BaseModel):
    """The model that answers now, as its registry knows it."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(description="Name of the model.")]
    version: Annotated[str, Field(description="Version that answers now.")]
    uri: Annotated[str, Field(description="Address or folder it came from.")]
    kind: Annotated[str, Field(description="What it is: `neural`, `forest`, `ensemble`, ...")]
    family: Annotated[str | None, Field(description="Architecture or family by its usual name.")]
    run_id: Annotated[str | None, Field(description="MLflow run that made it.")]
    synthetic: Annotated[bool, Field(description="Whether it was trained on synthetic data.")]
    data_name: Annotated[str, Field(description="Dataset it was trained on.")]
    data_fingerprint: Annotated[str, Field(description="That dataset's fingerprint.")]
    n_samples: Annotated[int, Field(description="Samples it was trained or tuned on.")]
    n_active_regions: Annotated[int, Field(description="Active regions of those.")]
    image_size: Annotated[int, Field(description="Pixels of an edge that it works on.")]
    channels: Annotated[list[str], Field(description="Channels in the order of the planes.")]
    step_offsets_minutes: Annotated[
        list[int], Field(description="Time steps, in minutes into the input window.")
    ]
    events: Annotated[list[str], Field(description="Events that it gives probabilities of.")]
    window_hours: Annotated[int, Field(description="Hours that it forecasts.")]
    interval_level: Annotated[Probability, Field(description="Level of the flux interval.")]
    thresholds: Annotated[
        dict[str, float], Field(description="Probability from which an event is forecast.")
    ]
    base_rates: Annotated[
        dict[str, float], Field(description="Event rates that the probabilities are meant for.")
    ]
    signature: Annotated[
        dict[str, Any], Field(description="Arrays that it takes and fields that it answers.")
    ]
    parameters: Annotated[dict[str, str], Field(description="Parameters of the run.")]
    tags: Annotated[dict[str, str], Field(description="Tags of the version.")]
    scores: Annotated[list[ScoreValue], Field(description="Scores from its latest report.")]
    scores_on: Annotated[
        str | None, Field(description="Split, data and label scale of these scores, for people.")
    ]
    card: Annotated[str | None, Field(description="Model card, in Markdown.")]


class PastForecast(BaseModel):
    """A forecast that was made, without the pixels."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[int, Field(description="Number, rising with time.")]
    time: Annotated[datetime, Field(description="When it was made, UTC.")]
    source: Annotated[str, Field(description="Endpoint: `npy`, `images` or `batch`.")]
    model_name: Annotated[str, Field(description="Model that answered.")]
    model_version: Annotated[str, Field(description="The one version that answered.")]
    peak_flux_w_m2: Annotated[float, Field(description="Forecast peak flux in W m^-2.")]
    flux_low_w_m2: Annotated[float, Field(description="Lower end of its interval in W m^-2.")]
    flux_high_w_m2: Annotated[float, Field(description="Upper end of its interval in W m^-2.")]
    goes_class: Annotated[str, Field(description="Class with a digit of `peak_flux_w_m2`.")]
    mx_probability: Annotated[Probability, Field(description="P(class M or X in the window).")]
    alert: Annotated[bool, Field(description="Whether it reached the model's threshold.")]
    missing_images: Annotated[int, Field(description="Images that were missing, of 40.")]
    synthetic: Annotated[bool, Field(description="Whether the model knew synthetic data only.")]


class History(BaseModel):
    """Recent forecasts, the newest first."""

    model_config = ConfigDict(frozen=True)

    kept: Annotated[int, Field(description="How many the server keeps at most; 0: none.")]
    forecasts: Annotated[list[PastForecast], Field(description="At most as many as asked for.")]
    next: Annotated[
        int | None,
        Field(description="What to give as `before` for the next page; null where it is empty."),
    ] = None
