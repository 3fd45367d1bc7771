"""The answers of the server, field by field; the API's documentation is made from them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flare.forecasters.training_inputs import Status
from flare.images.grey_scale import LEVEL, Scale
from flare.sample import CHANNELS

Probability = Annotated[float, Field(ge=0, le=1)]
Points = list[float | None]

# Fields that several answers have.
ModelName = Annotated[str, Field(description="Model that answered.")]
ModelVersion = Annotated[str, Field(description="The one version that answered.")]
Region = Annotated[int | None, Field(description="NOAA number, null where it is unknown.")]
GoesClass = Annotated[str, Field(description="Class with a digit of `peak_flux_w_m2`.")]

#: Features in an explanation.
MOST_FEATURES = 10

_EXAMPLE: dict[str, Any] = {
    "forecast_id": "5f0c2d8a4b7e4a0c9d3f1e2b6a7c8d90",
    "issue_time": "2012-01-15T12:00:00Z",
    "valid_from": "2012-01-15T12:00:00Z",
    "valid_to": "2012-01-16T12:00:00Z",
    "active_region": 11402,
    "input_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "status": "degraded",
    "reasons": ["2 of 40 images are missing: 94 \u00c5 12 h, magnetogram 10 min"],
    "out_of_range": [],
    "brightness": dict.fromkeys(CHANNELS, 61.5),
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


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class Image(Answer):
    """One image of a sample."""

    step: int = Field(ge=0, le=3, description="Time step, the earliest first.")
    channel: str = Field(description="Wavelength in Angstrom, or the HMI product.")


class Prediction(Answer):
    """A forecast for the window that follows the sample's last image, from one model version."""

    model_config = ConfigDict(allow_inf_nan=False, json_schema_extra={"example": _EXAMPLE})

    forecast_id: str = Field(description="Identifies this forecast; no other has it.")
    issue_time: datetime = Field(
        description="When the forecast was issued, UTC: at the end of its input window, or as "
        "stated; when it was made where the times of the images are unknown."
    )
    valid_from: datetime | None = Field(
        description="When the forecast window begins, UTC; null where the times of the images are "
        "unknown: then the forecast cannot be verified."
    )
    valid_to: datetime | None = Field(description="When the forecast window ends, UTC.")
    active_region: Region
    input_digest: str = Field(
        description="SHA-256 of the input: of the .npy file; of the names and bytes of the images; "
        "of the grey levels of a batch's sample."
    )
    status: Status = Field(
        description="`normal`; `degraded`, where images are missing or outside the range of the "
        "training; `abstain`, where too few can be used: do not use or verify the numbers."
    )
    reasons: list[str] = Field(description="Why the status is not `normal`, and what is unknown.")
    out_of_range: list[Image] = Field(
        description="Images whose brightness or contrast the training images do not have."
    )
    brightness: dict[str, float | None] = Field(
        description="Mean grey level of the images by channel; null without one."
    )
    peak_flux_w_m2: float = Field(
        gt=0,
        description="Forecast peak GOES 1-8 Angstrom flux of the window in W m^-2, on the scale "
        "of SDOBenchmark's labels (NOAA class flux divided by 0.85).",
    )
    log_flux: float = Field(description="log10 of `peak_flux_w_m2`.")
    flare_class: Literal["A", "B", "C", "M", "X"] = Field(
        description="Class letter of `peak_flux_w_m2`."
    )
    is_mx_flare: bool = Field(
        description="Whether `mx_probability` is at least 0.5, whatever `flare_class` is; see "
        "`alert` for the decision at the model's own threshold."
    )
    mx_probability: Probability = Field(
        description="P(a peak of at least 1e-5 W m^-2, so class M or X, in the window)."
    )
    goes_class: GoesClass
    flux_low_w_m2: float = Field(gt=0, description="Lower end of the flux interval in W m^-2.")
    flux_high_w_m2: float = Field(gt=0, description="Upper end of the flux interval in W m^-2.")
    interval_level: Probability = Field(description="Nominal coverage of the flux interval.")
    probabilities: dict[str, Probability] = Field(
        description="P(a flare of at least this class in the window) by class."
    )
    alert: bool = Field(description="Whether `mx_probability` is at least `alert_threshold`.")
    alert_threshold: float = Field(
        description="Decision threshold: the probability with the highest true skill statistic "
        "on the forecasts that the model was calibrated on (`tags` of `GET /model`); 0.5 where "
        "these had no events."
    )
    window_hours: int = Field(gt=0, description="Length of the window in hours.")
    synthetic: bool = Field(
        description="Whether the model was trained on synthetic data: for testing only."
    )
    coherent: bool = Field(
        description="Whether flux, interval and probabilities fit one distribution. Models of "
        "earlier versions may contradict themselves; then use the probabilities."
    )
    model_name: ModelName
    model_version: ModelVersion
    missing_images: int = Field(
        ge=0, le=39, description="Number of missing images: planes of a single value, or not sent."
    )
    missing: list[Image] = Field(description="The missing images.")
    scale: Scale = Field(
        LEVEL,
        description="Scale of the pixel values: `fraction`, where 1 is white, or `level`, where "
        "255 is.",
    )


class LeftOut(Answer):
    """An image that was sent and counts as missing."""

    file: str = Field(description="Name of the file.")
    reason: str = Field(description="Why it counts as missing: `flagged` or `uniform`.")


class ImagesPrediction(Prediction):
    """A forecast from images, and which of them were left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": _EXAMPLE
            | {"left_out": [{"file": "2012-01-15T000000__94.jpg", "reason": "flagged"}]}
        }
    )

    left_out: list[LeftOut] = Field(description="Images that were sent and count as missing.")


class BatchMember(Prediction):
    """The forecast of one sample of a batch."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE | {"id": "0"}})

    id: str = Field(description="Position of the sample from 0, or its name in the .npz.")


class Batch(Answer):
    """The forecasts of a batch, all from one model version, in the order of the samples."""

    model_name: ModelName
    model_version: ModelVersion
    forecasts: list[BatchMember] = Field(description="One forecast for each sample.")


class Explanation(Answer):
    """Contributions to a probability, in percentage points: the probability minus that without.

    Contributions do not add up: of two images that say the same, hiding either changes little.
    """

    event: str = Field(description="Event whose probability is explained.")
    probability: Probability = Field(description="Its probability, of the whole sample.")
    model_name: ModelName
    model_version: ModelVersion
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


class Health(Answer):
    """The state of the server; answered with 200 as long as the process runs."""

    status: Literal["ok", "no model"] = Field(description="Whether the server can forecast.")
    model_loaded: bool = Field(description="The same as `status`, as a boolean.")
    device: str = Field(description="Device of the model: `cpu` or `cuda`.")
    engine: str | None = Field(
        description="Library that runs the model: `onnxruntime`, `torch` or `numpy`."
    )
    model_name: str = Field(description="Model that is served, or will be.")
    model_version: str | None = Field(description="Version that answers now.")
    alias: str | None = Field(
        description="Alias that is followed; null for a folder or a fixed model."
    )
    checkpoint_path: str | None = Field(
        description="Folder of the model; only for requests with the API key."
    )
    loaded_at: datetime | None = Field(description="When the model was loaded, UTC.")
    age_seconds: float | None = Field(description="Seconds since the model was loaded.")
    polled_at: datetime | None = Field(
        description="When the registry last answered which version is current, UTC."
    )
    last_error: str | None = Field(
        description="Why the latest poll for a model failed; null if it did not. Paths and "
        "addresses in it are shown only to requests with the API key, and in the log."
    )


class Ready(Answer):
    """The server can forecast."""

    status: Literal["ready"] = Field(description="Always the same: the server can forecast.")
    model_version: str = Field(description="Version that answers now.")


class PastForecast(Answer):
    """A recent forecast, without the pixels; null where an older server stored nothing."""

    id: int = Field(description="Number of the forecast, increasing with time.")
    forecast_id: str = Field(description="Identifies the forecast; no other has it.")
    issue_time: datetime = Field(description="When it was issued, UTC.")
    valid_from: datetime | None = Field(
        description="When its window begins, UTC; null where the times of the images are unknown."
    )
    valid_to: datetime | None = Field(description="When its window ends, UTC.")
    active_region: Region
    input_digest: str | None = Field(description="SHA-256 of the input.")
    status: Status | None = Field(description="`normal`, `degraded` or `abstain`.")
    reasons: list[str] | None = Field(description="Why the status is not `normal`.")
    probabilities: dict[str, Probability] | None = Field(
        description="P(a flare of at least this class in the window) by class."
    )
    missing: list[Image] | None = Field(description="The missing images.")
    brightness: dict[str, float | None] | None = Field(
        description="Mean grey level of the images by channel; null without one."
    )
    time: datetime = Field(description="When it was made, UTC.")
    source: str = Field(description="Endpoint: `npy`, `images` or `batch`.")
    model_name: ModelName
    model_version: ModelVersion
    peak_flux_w_m2: float = Field(description="Forecast peak flux in W m^-2.")
    flux_low_w_m2: float = Field(description="Lower end of its interval in W m^-2.")
    flux_high_w_m2: float = Field(description="Upper end of its interval in W m^-2.")
    goes_class: GoesClass
    mx_probability: Probability = Field(description="P(class M or X in the window).")
    alert: bool = Field(description="Whether `mx_probability` was at least the model's threshold.")
    missing_images: int = Field(description="Number of missing images, of 40.")
    synthetic: bool = Field(description="Whether the model was trained on synthetic data.")


class History(Answer):
    """Recent forecasts, the newest first."""

    kept: int = Field(description="Largest number of forecasts that the server stores; 0: none.")
    forecasts: list[PastForecast] = Field(description="The forecasts, at most `limit`.")
    next: int | None = Field(
        None, description="Value of `before` for the next page; null where that is empty."
    )
