"""Figure of why a forecast is what it is: images, places and features that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from flare.plots.samples import COLORMAPS
from flare.plots.style import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    NORMAL,
    SMALL,
    VERMILLION,
    caption,
    centred,
    headline,
    label_bar,
    mark_synthetic,
    new_figure,
    plain,
)
from flare.sample import CHANNELS, STEP_NAMES, Cube, Present, channel_title

_Floats = NDArray[np.float64]

#: Red is for more likely, blue for less; equal lightness at both ends, white in the middle.
_DIVERGING = "RdBu_r"
_FEATURES = 8


@dataclass(frozen=True)
class GradientMap:
    """Integrated Gradients of one sample in log odds, summed over its images and places (G, G).

    ``features`` are those that the network gets, the strongest first.
    """

    places: _Floats
    features: Mapping[str, float]


def explanation_figure(
    cube: Cube,
    present: Present,
    *,
    images: _Floats,
    channels: _Floats,
    steps: _Floats,
    places: _Floats,
    features: Mapping[str, float],
    gradients: GradientMap | None = None,
    title: str,
    synthetic: bool,
) -> Figure:
    """Draw what hiding each image, channel, time step and place takes from a probability.

    ``cube`` is uint8 (T, C, S, S) and ``present`` bool (T, C). Contributions are in probability
    points: ``images`` (T, C), ``channels`` (C,), ``steps`` (T,), ``places`` (G, G), ``features`` by
    name; NaN where there is nothing to hide.
    """
    shown = _shown_image(channels, present)
    feature_bars = features or (gradients.features if gradients is not None else {})
    n_right = 1 + (gradients is not None) + bool(feature_bars)
    figure = new_figure(max(11.0, 3.6 * n_right), 6.9)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.15))[:, 0]
    _draw_images(upper, images, channels, steps)
    axes = lower.subplots(1, n_right, squeeze=False)[0]
    name = f"{channel_title(CHANNELS[shown[1]])}, {STEP_NAMES[shown[0]]} before"
    _draw_map(axes[0], cube[shown], name, places, "probability points")
    axes[0].set_title("hiding a place in all images", fontsize=NORMAL, color=INK)
    if gradients is not None:
        _draw_map(axes[1], cube[shown], name, gradients.places, "log odds")
        axes[1].set_title("Integrated Gradients, all images", fontsize=NORMAL, color=INK)
    if feature_bars:
        unit = "probability points" if features else "log odds (Integrated Gradients)"
        _draw_features(axes[-1], feature_bars, unit)
    headline(figure, plain(title, width=110))
    caption(
        figure,
        "Contribution of a part: the probability minus that without it; red made the event more "
        "likely, blue less. Parts that say the same have small contributions each, and "
        "contributions do not add up. It shows what the model uses, not what causes flares.",
    )
    return mark_synthetic(figure) if synthetic else figure


def _shown_image(channels: _Floats, present: Present) -> tuple[int, int]:
    """Return step and channel of the newest image of the channel that matters most."""
    channel = int(np.nanargmax(np.abs(channels)))
    return int(np.flatnonzero(present[:, channel])[-1]), channel


def _norm(values: _Floats) -> TwoSlopeNorm:
    """Return a colour scale that is symmetric around zero."""
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1e-9
    return TwoSlopeNorm(0.0, -most, most)


def _draw_images(figure: Figure, images: _Floats, channels: _Floats, steps: _Floats) -> None:
    """Draw the map of images, with a row for whole channels and a column for whole time steps."""
    axes = figure.subplots()
    table = np.full((len(steps) + 1, len(channels) + 1), np.nan)
    table[:-1, :-1], table[-1, :-1], table[:-1, -1] = images, channels, steps
    norm = _norm(table)
    picture = axes.imshow(np.ma.masked_invalid(table), cmap=_DIVERGING, norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            text = "" if (row, column) == (len(steps), len(channels)) else "missing"
            centred(axes, column, row, text, color=GREY)
            continue
        dark = abs(value) > 0.6 * (norm.vmax or 1)
        text = signed(value, smallest=(norm.vmax or 0) / 200)
        centred(axes, column, row, text, color="white" if dark else INK)
    names = [*(channel_title(one) for one in CHANNELS), "all"]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(steps) + 1), [*STEP_NAMES, "all"])
    axes.axhline(len(steps) - 0.5, color="white", linewidth=4)
    axes.axvline(len(channels) - 0.5, color="white", linewidth=4)
    axes.tick_params(length=0, labelsize=NORMAL, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("before the forecast window", fontsize=NORMAL, color=INK)
    bar = figure.colorbar(picture, ax=axes, pad=0.01, aspect=30)
    label_bar(bar, "hiding images: probability points")


def signed(value: float, *, smallest: float) -> str:
    """Return a contribution with two significant digits and its sign; 0 below the smallest."""
    if abs(value) <= smallest:
        return "0"
    text = f"{value:+.2g}" if abs(value) < 10 else f"{value:+.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _draw_map(axes: Axes, image: NDArray[np.uint8], name: str, values: _Floats, unit: str) -> None:
    """Draw values (G, G) over an image in grey."""
    edge = image.shape[-1]
    axes.imshow(COLORMAPS["magnetogram"](image), extent=(0, edge, edge, 0))
    norm = _norm(values)
    # Where contributions are small the image stays visible.
    strength = np.abs(values) / (norm.vmax or 1)
    axes.imshow(
        values, cmap=_DIVERGING, norm=norm, extent=(0, edge, edge, 0), interpolation="nearest",
        alpha=np.clip(1.4 * strength, 0, 0.75),
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=LIGHT)
    axes.set_xlabel(f"over {name}", fontsize=SMALL, color=GREY)
    opaque = ScalarMappable(norm, _DIVERGING)
    label_bar(axes.figure.colorbar(opaque, ax=axes, pad=0.02, aspect=25, shrink=0.9), unit)


def _draw_features(axes: Axes, features: Mapping[str, float], unit: str) -> None:
    chosen = dict(list(features.items())[:_FEATURES])
    values = np.array(list(chosen.values()))
    axes.barh(range(len(chosen)), values, color=np.where(values > 0, VERMILLION, BLUE), height=0.7)
    axes.set_yticks(range(len(chosen)), [name.replace("_", " ") for name in chosen])
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.tick_params(labelsize=SMALL, length=0, labelcolor=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(unit, fontsize=SMALL, color=INK)
    axes.set_title("features", fontsize=NORMAL, color=INK)
