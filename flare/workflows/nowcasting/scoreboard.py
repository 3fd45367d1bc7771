"""The full-disk forecast in the two forms in which CCMC's Flare Scoreboard is documented.

Text: the header lines and full-disk columns of its description. XML: the elements that live models
send. Its schema could not be seen, so no conformity is claimed; the columns of regions are not
known, so regions are left out.
"""

import re
from xml.etree import ElementTree

from flare.errors import InputInvalid
from flare.forecast_facts import utc_text
from flare.workflows.nowcasting.bulletin import Bulletin

#: The scoreboard's bins, and the event of at least that class. X has no bin above it.
BINS = {"X": "X1.0", "M": "M1.0", "C": "C1.0"}

#: In columns, for a class without a forecast and for an uncertainty that is not known: what the
#: scoreboard itself gives out there. A probability of 0 would be a forecast.
_FILL = -1.0

#: Level of calibration, 1 (low) to 3: combined over regions, it is not calibrated.
_LEVEL = 1


def file_name(bulletin: Bulletin, name: str) -> str:
    """Return the documented name, without its ending; ``name`` is that of the model."""
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")
    return f"Flare_Forecast_{plain}_{bulletin.issue_time:%Y%m%d_%H%M}"


def as_text(bulletin: Bulletin, name: str) -> str:
    """Return the text form; warnings are comments.

    Raises InputInvalid: there is no full-disk forecast.
    """
    values = _values(bulletin)
    columns = []
    for letter in BINS:
        columns += [values.get(letter, _FILL), _FILL, _LEVEL]
    titles = [f"{letter}_{what}" for letter in BINS for what in ("prob", "uncert", "Level")]
    lines = [
        *(f"# {warning}" for warning in _notes(bulletin)),
        f"Forecasting method: {name}",
        f"Issue Time: {utc_text(bulletin.issue_time)}",
        f"Prediction Window Start Time: {utc_text(bulletin.issue_time)}",
        f"Prediction Window End Time: {utc_text(bulletin.valid_to)}",
        f"Probability Bins: {' '.join(_bin(letter) for letter in values)}",
        "Input data: SDO/HMI LOS_Magnetogram, SDO/HMI Continuum, SDO/AIA",
        f"Prediction window (hours): {bulletin.window_hours}",
        "#Full Disk Forecast",
        f"#{' '.join(titles)}",
        " ".join(f"{value:d}" if isinstance(value, int) else f"{value:.4f}" for value in columns),
    ]
    return "\n".join(lines) + "\n"


def as_xml(bulletin: Bulletin, name: str) -> str:
    """Return the XML form: an entry for each class that is forecast; warnings are comments.

    Raises InputInvalid: there is no full-disk forecast.
    """
    values = _values(bulletin)
    message = ElementTree.Element("message")
    for warning in (*_notes(bulletin), f"Forecasting method: {name}"):
        message.append(ElementTree.Comment(f" {warning.replace('--', '-')} "))
    forecast = ElementTree.SubElement(message, "forecast")
    ElementTree.SubElement(forecast, "issuetime").text = utc_text(bulletin.issue_time)
    window = ElementTree.SubElement(forecast, "predictionwindow")
    ElementTree.SubElement(window, "starttime").text = utc_text(bulletin.issue_time)
    ElementTree.SubElement(window, "endtime").text = utc_text(bulletin.valid_to)
    group = ElementTree.SubElement(forecast, "group")
    ElementTree.SubElement(group, "forecasttype").text = "Full Disk"
    for letter, value in values.items():
        entry = ElementTree.SubElement(group, "entry")
        ElementTree.SubElement(entry, "fluxbin", name=_bin(letter))
        ElementTree.SubElement(
            ElementTree.SubElement(entry, "probability"), "value"
        ).text = f"{value:.4f}"
    ElementTree.indent(message)
    return ElementTree.tostring(message, encoding="unicode", xml_declaration=True) + "\n"


def _bin(letter: str) -> str:
    """Return the name of a bin: cumulative, but for the highest."""
    return letter if letter == "X" else f"{letter}+"


def _values(bulletin: Bulletin) -> dict[str, float]:
    known = {letter: bulletin.full_disk.get(event) for letter, event in BINS.items()}
    values = {letter: value for letter, value in known.items() if value is not None}
    if not values:
        raise InputInvalid("there is no full-disk forecast, so nothing for the scoreboard")
    return values


def _notes(bulletin: Bulletin) -> list[str]:
    return [*bulletin.warnings, f"Full disk: {bulletin.full_disk_note()}"]
