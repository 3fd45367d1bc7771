"""What each part of the default network is worth: `python -m benchmarks.ablation`.

Every variant differs from the default settings in one thing. It forecasts the whole training split
out of fold, by active region, once for each seed; the test split is not opened. Scores are of raw
probabilities, without calibration: means over the seeds, and the largest difference between two of
them. `mean of the seeds` averages the log rates of the default's networks.

The default is the mean of a network and a curve that is linear in the features; rows of either
alone, and of the mean with weights chosen on the other folds, come from the same trainings. Pooling
has no variant: networks always have mean and maximum.
"""

import argparse
import logging
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import machine
from flare.config import TrainConfig
from flare.config.groups import SYNTHETIC_DIR, PackOptions
from flare.datasets.splits import Split
from flare.flux_curve import flux_quantiles, log_rates, probabilities
from flare.forecast import Forecast
from flare.goes import EVENTS, event_outcomes
from flare.models.heads import RateCurve
from flare.training.distribution import surprise
from flare.verification.probabilistic import brier_skill_score, ranked_probability_score, roc_area
from flare.workflows.fitting.cross_validation import training_folds
from flare.workflows.fitting.network import NetworkInputs, prepare_inputs
from flare.workflows.fitting.network_folds import Weights, cross_validate_network
from flare.workflows.fitting.training_data import TrainingData, open_packed

log = logging.getLogger("flare")

#: What each variant changes.
VARIANTS: dict[str, dict[str, object]] = {
    "default": {},
    "two heads": {"head": "multitask"},
    "without features": {"features": False},
    "without averaged weights": {"ema": 0.0},
    "shifted by 0.05": {"shift": 0.05},
    "without mirrors": {"mirror": False},
}
MEAN = "mean of the seeds"
#: The network's weights in the mean with the linear curve.
SHARES = tuple(step / 10 for step in range(11))
ALONE, LINEAR, CHOSEN = "network alone", "linear curve alone", "weights chosen out of fold"
COLUMNS = ("C1.0 BSS", "C1.0 ROC", "M1.0 BSS", "M1.0 ROC", "RPS", "MAE (dex)")


def scores(forecast: Forecast, peak_flux: np.ndarray) -> np.ndarray:
    """Return what ``COLUMNS`` names."""
    reached = event_outcomes(peak_flux)
    values = []
    for event in ("C1.0", "M1.0"):
        outcomes = reached[:, EVENTS.index(event)]
        probability = forecast.probability_of(event)
        values += [brier_skill_score(outcomes, probability), roc_area(outcomes, probability)]
    values.append(ranked_probability_score(reached, forecast.probability))
    values.append(np.abs(forecast.log10_flux - np.log10(peak_flux)).mean())
    return np.array(values, dtype=np.float64)


def averaged(forecasts: list[Forecast]) -> Forecast:
    """Return the distribution whose log rates are the mean of those of several."""
    return _forecast(np.mean([log_rates(one.probability) for one in forecasts], axis=0))


def _forecast(log_rate: np.ndarray) -> Forecast:
    """Return the distribution of log rates (N, E)."""
    probability = probabilities(log_rate)
    low, flux, high = flux_quantiles(probability, EVENTS, [0.05, 0.5, 0.95]).T
    return Forecast(flux, low, high, probability, EVENTS)


def linear_log_rates(weights: list[Weights], features: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return log lambda (n, E) of the linear curves inside the networks of the folds."""
    rates = np.empty((len(features), len(EVENTS)))
    for fold, own in enumerate(weights):
        prefix = "heads.linear."
        curve = RateCurve(features.shape[1], len(EVENTS))
        curve.load_state_dict(
            {key.removeprefix(prefix): own[key] for key in own if key.startswith(prefix)}
        )
        left = folds == fold
        with torch.inference_mode():
            rates[left] = curve(torch.from_numpy(features[left])).numpy()
    return rates


def weighted(
    network: np.ndarray, linear: np.ndarray, log10_flux: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Average log lambda (n, E), in each fold by the likeliest weights of the other folds."""
    labels, mean = torch.from_numpy(log10_flux), np.empty_like(network)
    for fold in np.unique(folds):
        left = folds == fold

        def cost(share: float, rest: np.ndarray = ~left) -> float:
            both = share * network[rest] + (1 - share) * linear[rest]
            return float(surprise(torch.from_numpy(both), labels[rest]).sum())

        share = min(SHARES, key=cost)
        mean[left] = share * network[left] + (1 - share) * linear[left]
    return mean


def table(data: TrainingData, options: argparse.Namespace) -> list[str]:
    """Train every variant, and return the rows of the table."""
    folds = training_folds(data, options.folds, seed=0)
    assert folds is not None
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    peak_flux = data.peak_flux[data.split.train]
    inputs: dict[bool, NetworkInputs] = {}
    for name, changes in VARIANTS.items():
        started, forecasts = time.time(), []
        parts: dict[str, list[np.ndarray]] = {ALONE: [], LINEAR: [], CHOSEN: []}
        config = TrainConfig(**{"epochs": options.epochs, "accelerator": "cpu", **changes})
        for seed in range(options.seeds):
            seeded = config.model_copy(update={"seed": seed})
            if seeded.features not in inputs:
                inputs[seeded.features] = prepare_inputs(data, seeded)
            shared = inputs[seeded.features]
            out_of_fold, weights = cross_validate_network(
                data, seeded, shared, folds, epochs=config.epochs
            )
            forecasts.append(out_of_fold.forecast)
            if name == "default":
                assert shared.features is not None
                linear = linear_log_rates(
                    weights, shared.features[out_of_fold.rows], out_of_fold.folds
                )
                network = 2 * log_rates(out_of_fold.forecast.probability) - linear
                chosen = weighted(network, linear, np.log10(peak_flux), out_of_fold.folds)
                for label, rates in ((ALONE, network), (LINEAR, linear), (CHOSEN, chosen)):
                    parts[label].append(scores(_forecast(rates), peak_flux))
        lines.append(_row(name, np.array([scores(one, peak_flux) for one in forecasts])))
        log.info("%s (%.0f s)", lines[-1], time.time() - started)
        if name == "default":
            lines += [_row(label, np.array(values)) for label, values in parts.items()]
            lines.append(_row(MEAN, scores(averaged(forecasts), peak_flux)[None]))
    return lines


def _row(name: str, values: np.ndarray) -> str:
    """Format scores (seeds, columns)."""
    spread = np.ptp(values, axis=0)
    cells = [
        f"{mean:.3f}" + (f" ({apart:.3f})" if len(values) > 1 else "")
        for mean, apart in zip(values.mean(axis=0), spread, strict=True)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=SYNTHETIC_DIR)
    parser.add_argument("--pack_dir", type=Path)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pack = open_packed(
        PackOptions(data_dir=options.data_dir, pack_dir=options.pack_dir), options.image_size
    )
    rows = pack.split("training")
    none = np.empty(0, dtype=np.intp)
    data = TrainingData(pack, rows, Split(np.arange(len(rows)), none, "whole"))
    kind = "SYNTHETIC" if pack.synthetic else "real"
    print(
        f"{kind} {pack.name}, {len(rows)} training samples out of fold at {options.image_size} px, "
        f"{options.epochs} epochs, {options.seeds} seeds; {machine()}"
    )
    print("\n".join(table(data, options)))


if __name__ == "__main__":
    main()
