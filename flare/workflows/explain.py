"""Entry point ``explain``: which images, places and features one forecast rests on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flare.config import ExplainConfig
from flare.files import check_folder, write_atomically
from flare.forecasters.explanation.gradients import integrate_gradients
from flare.forecasters.explanation.occlusion import Explanation, occlude
from flare.plots.explanation import GradientMap, explanation_figure
from flare.plots.style import save
from flare.tracking.runs import start
from flare.workflows.prediction.one_sample import read_one
from flare.workflows.prediction.resolve_model import resolve

#: Places on an edge of the figure's map of Integrated Gradients: single pixels could not be seen.
_FINE = 32


@dataclass(frozen=True)
class Explained:
    """The explanation of one sample, and where its figure and values are."""

    explanation: Explanation
    model: str
    synthetic: bool
    figure: Path
    values: Path


def run(config: ExplainConfig) -> Explained:
    """Explain the forecast of the one sample of ``input``; write and log a figure and the values.

    The files are ``explanation.png`` and ``explanation.json`` in ``output_dir``.
    """
    check_folder(config.output_dir, "output_dir")
    sample = read_one(config.input, config.scale or None)
    with start("explain", name=f"explain {config.input.name}") as tracked:
        tracked.log_config(config)
        sample.log(tracked, context="explanation")
        model = resolve(config.model, config.model_name).at_rates(config.rates)
        model.log_use(tracked)
        forecaster, event = model.forecaster, config.event
        maps: list[dict[str, Any]] = []
        gradients = None
        if config.method == "gradients":
            attribution = integrate_gradients(forecaster, sample.cube, sample.present, event=event)
            maps.append(attribution.values(config.grid))
            gradients = GradientMap(attribution.places(_FINE), attribution.features)
        explanation = occlude(
            forecaster, sample.cube, sample.present, event=event, grid=config.grid
        )
        maps.insert(0, explanation.values())
        figure = explanation_figure(
            sample.cube,
            sample.present,
            images=explanation.images,
            channels=explanation.channels,
            steps=explanation.steps,
            places=explanation.places,
            features=explanation.features,
            gradients=gradients,
            title=f"{sample.id}: why {model.label} says "
            f"{100 * explanation.probability:.2g} % for {event} or stronger",
            synthetic=forecaster.origin.synthetic,
        )
        tracked.log_metrics(
            {
                "probability": explanation.probability,
                "largest_image_points": float(np.nanmax(np.abs(explanation.images))),
            }
        )
        values = {"sample": sample.id, "model": model.label, "explanations": maps}
        tracked.log_json(values, "explanation.json")
        tracked.log_figure(figure, "explanation.png")
        written = save(figure, config.output_dir / "explanation.png")
        write_atomically(written.with_suffix(".json"), json.dumps(values, indent=1))
    return Explained(
        explanation,
        model.label,
        forecaster.origin.synthetic,
        written,
        written.with_suffix(".json"),
    )
