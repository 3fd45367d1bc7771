"""Explain one forecast: `mlflow run . -e explain -P input=data/example`."""

from typing import TYPE_CHECKING

import numpy as np

from entrypoints.command import run
from entrypoints.show import plain_table, wide_console
from flare.config import ExplainConfig
from flare.sample import CHANNELS, STEP_NAMES, channel_title

if TYPE_CHECKING:
    from flare.workflows.explain import Explained

_SHOWN = 5  # rows of each kind


def main(config: ExplainConfig) -> None:
    """Explain, and print what mattered most."""
    from flare.workflows.explain import run as explain

    show_explanation(explain(config))


def show_explanation(explained: "Explained") -> None:
    """Print the parts whose absence would change the probability most, and where the rest is."""
    one = explained.explanation
    synthetic = " SYNTHETIC training data." if explained.synthetic else ""
    print(
        f"{explained.model}: {100 * one.probability:.2g} % for {one.event} or stronger.{synthetic}"
    )
    table = plain_table("hidden", "part", numbers=("points",))
    size = len(one.places)
    kinds = {
        "channel": {channel_title(c): v for c, v in zip(CHANNELS, one.channels, strict=True)},
        "time": {f"{s} before": v for s, v in zip(STEP_NAMES, one.steps, strict=True)},
        "image": {
            f"{channel_title(CHANNELS[c])}, {STEP_NAMES[t]} before": one.images[t, c]
            for t, c in np.ndindex(one.images.shape)
        },
        "place": {
            f"row {r + 1}, column {c + 1} of {size}": value
            for (r, c), value in np.ndenumerate(one.places)
        },
        "feature": one.features,
    }
    for kind, values in kinds.items():
        known = {name: value for name, value in values.items() if not np.isnan(value)}
        strongest = sorted(known, key=lambda name: -abs(known[name]))[:_SHOWN]
        for name in strongest:
            table.add_row(kind, name, f"{known[name]:+.2g}")
    wide_console().print(table)
    print("points: the probability in percent minus that without the part; they do not add up")
    print(f"figure {explained.figure}, all values {explained.values}")


if __name__ == "__main__":
    run("explain", ExplainConfig, main)
