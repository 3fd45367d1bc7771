"""Whether the texts of a figure can be read, as it is drawn."""

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def texts_with_boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    figure.draw_without_rendering()
    hidden = _labels_outside_the_view(figure)
    return [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def _labels_outside_the_view(figure: Figure) -> set[Text]:
    """Matplotlib keeps labels of ticks beyond the limits, and does not draw them."""
    result: set[Text] = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        spare = 1e-6 * (high - low)
        result.update(
            label
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
            if not low - spare <= tick.get_loc() <= high + spare
            for label in (tick.label1, tick.label2)
        )
    return result


def unreadable(figure: Figure) -> list[str]:
    """Texts that lie on another or reach out of the figure, by more than a hair."""
    shown = [(text, box.padded(-1.5)) for text, box in texts_with_boxes(figure)]
    result = [
        f"{first!r} on {second!r}"
        for k, (first, box) in enumerate(shown)
        for second, other in shown[k + 1 :]
        if box.overlaps(other)
    ]
    whole = figure.bbox.padded(1)
    return result + [
        f"{text!r} is cut off"
        for text, box in shown
        if box.x0 < whole.x0 or box.x1 > whole.x1 or box.y0 < whole.y0 or box.y1 > whole.y1
    ]


def all_text(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))
