"""What the server answers, field by field; the API's documentation is made from it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Prediction(BaseModel):
    """A forecast for the window that follows the sample's last image, from one model version."""

    model_config = ConfigDict(
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra={
            "example": {
                "peak_flux_w_m2": 5.754e-06,
                "log_flux": -5.24,
                "flare_class": "C",
                "is_mx_flare": False,
                "mx_probability": 0.1,
                "goes_class": "C5.7",
                "flux_low_w_m2": 6.0e-07,
                "flux_high_w_m2": 2.4e-05,
                "interval_level": 0.9,
                "probabilities": {"B1.0": 0.9, "C1.0": 0.62, "M1.0": 0.1, "X1.0": 0.01},
                "alert": True,
                "alert_threshold": 0.07,
                "window_hours": 24,
                "synthetic": False,
                "model_name": "solar-flare",
                "model_version": "3",
                "missing_images": 2,
            }
        },
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
        Field(description="Probability with the highest true skill statistic out of fold."),
    ]
    window_hours: Annotated[int, Field(gt=0, description="Length of the window in hours.")]
    synthetic: Annotated[
        bool,
        Field(description="True if the model was trained on synthetic data: for trying out only."),
    ]
    model_name: Annotated[str, Field(description="Model that answered.")]
    model_version: Annotated[str, Field(description="The one version that answered.")]
    missing_images: Annotated[
        int, Field(ge=0, le=39, description="Planes of zeros in the upload, taken as missing.")
    ]


class Health(BaseModel):
    """How the process is doing; answered with 200 as long as it lives."""

    model_config = ConfigDict(frozen=True)

    status: Annotated[Literal["ok", "no model"], Field(description="Whether it can forecast.")]
    model_loaded: Annotated[bool, Field(description="The same as a boolean.")]
    device: Annotated[Literal["cpu"], Field(description="Where the model computes.")]
    model_name: Annotated[str, Field(description="Model that is served, or waited for.")]
    model_version: Annotated[str | None, Field(description="Version that answers now.")]
    alias: Annotated[
        str | None, Field(description="Alias that is followed; null where a folder is served.")
    ]
    checkpoint_path: Annotated[str | None, Field(description="Folder it was loaded from.")]
    loaded_at: Annotated[datetime | None, Field(description="When it was loaded, UTC.")]
    age_seconds: Annotated[float | None, Field(description="Seconds since then.")]
    last_error: Annotated[
        str | None,
        Field(description="Why the latest look for a model failed; null if it did not."),
    ]


class Ready(BaseModel):
    """That the server can forecast."""

    model_config = ConfigDict(frozen=True)

    status: Literal["ready"]
    model_version: Annotated[str, Field(description="Version that answers now.")]


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "example": {
                "error": "wrong_shape",
                "detail": "the array has shape (10, 256, 256)",
                "hint": "send (40, 256, 256), or (4, 10, 256, 256)",
                "request_id": None,
            }
        },
    )

    error: Annotated[str, Field(description="What kind of problem, for programs.")]
    detail: Annotated[str, Field(description="What is wrong, for people.")]
    hint: Annotated[str | None, Field(description="What to do about it.")] = None
    request_id: Annotated[
        str | None, Field(description="Where to look in the server's log; only with a 500.")
    ] = None
