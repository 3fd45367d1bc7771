"""The bulletin made of gathered images: abstentions, the full disk, and the scoreboard's forms."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from flare.datasets.sun.regions import SolarRegion
from flare.errors import InputInvalid
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.goes import EVENTS
from flare.sample import CHANNELS, N_CHANNELS, N_STEPS
from flare.workflows.nowcasting.bulletin import (
    CALIBRATION,
    HINDCAST_WARNING,
    SYNTHETIC_WARNING,
    Bulletin,
    make_bulletin,
)
from flare.workflows.nowcasting.gathering import Gathered, Refused
from flare.workflows.nowcasting.scoreboard import as_text, as_xml, file_name
from flare.workflows.prediction.resolve_model import Resolved

ISSUE = datetime(2026, 4, 4, 12, 30, tzinfo=UTC)
REGIONS = [SolarRegion(n, 10.0, lon, ISSUE) for n, lon in ((14397, 5.0), (14398, -40.0))]


def resolved(*, synthetic: bool) -> Resolved:
    labels = np.array([1e-9, 1e-9, 3e-7, 2e-6, 4e-6, 3e-5])
    origin = Origin("0" * 16, "test", synthetic, (), 6)
    forecaster = fit_climatology(labels, spec=ForecasterSpec(image_size=32), origin=origin)
    return Resolved(forecaster, "climatology", "d" * 64)


def gathered(
    *, newest: timedelta = timedelta(minutes=12), images: Sequence[int] = (40, 40)
) -> Gathered:
    """Return the first ``images`` planes of each region."""
    shape = (len(REGIONS), N_STEPS, N_CHANNELS)
    present = (np.arange(N_STEPS * N_CHANNELS) < np.array(images)[:, None]).reshape(shape)
    refused = [
        Refused(int(step), CHANNELS[k], "quality 0x00000100", "x.fits", REGIONS[row].number)
        for row, step, k in np.argwhere(~present)
    ]
    cubes = np.full((*shape, 32, 32), 100, np.uint8)
    return Gathered(REGIONS, cubes, present, {"0/94": "a" * 64}, refused, ISSUE - newest)


def bulletin(
    given: Gathered | None = None, *, synthetic: bool = False, late: timedelta = timedelta(0)
) -> Bulletin:
    return make_bulletin(
        given or gathered(), resolved(synthetic=synthetic), max_age_minutes=30, issue_time=ISSUE,
        made_at=ISSUE + late, source="test",
    )  # fmt: skip


def test_the_full_disk_is_one_minus_the_product_and_says_that_it_is_inflated() -> None:
    result = bulletin()
    for event in EVENTS:
        p = result.rows[0]["probabilities"][event]
        assert result.full_disk[event] == pytest.approx(1 - (1 - p) ** 2)
    assert CALIBRATION in result.document()["full_disk"]["calibration"]


def test_missing_images_degrade_a_forecast_and_too_many_prevent_it() -> None:
    result = bulletin(gathered(images=(37, 9)))
    normal, none = result.rows
    assert (normal["status"], normal["missing_images"]) == ("degraded", 3)
    assert normal["missing"][-1] == {"step": 3, "channel": "magnetogram"}
    assert "3 x quality 0x00000100" in normal["reasons"]
    assert (none["status"], none["mx_probability"]) == ("abstain", None)
    assert "9 images can be used; at least 10 are needed" in none["reasons"]
    assert result.full_disk["M1.0"] == pytest.approx(normal["mx_probability"])
    assert "1 of 2 listed regions; without regions 14398" in result.full_disk_note()


@pytest.mark.parametrize(("minutes", "status"), [(30, "normal"), (31, "abstain")])
def test_there_is_no_forecast_from_images_that_are_too_old(minutes: int, status: str) -> None:
    result = bulletin(gathered(newest=timedelta(minutes=minutes)))
    assert {row["status"] for row in result.rows} == {status}
    assert result.age_minutes == minutes
    if status == "abstain":
        assert result.rows[0]["reasons"][0] == "the newest image is 31 min old"
        assert set(result.full_disk.values()) == {None}
        with pytest.raises(InputInvalid, match="no full-disk forecast"):
            as_text(result, "m")


def test_the_same_input_has_the_same_id_and_another_image_another() -> None:
    first, again = (bulletin().rows[0] for _ in range(2))
    assert first["forecast_id"] == again["forecast_id"] != bulletin().rows[1]["forecast_id"]
    other = gathered()
    other.images["0/94"] = "b" * 64
    assert bulletin(other).rows[0]["forecast_id"] != first["forecast_id"]


def test_warnings_of_synthetic_models_and_hindcasts_are_on_every_output() -> None:
    result = bulletin(synthetic=True, late=timedelta(hours=2))
    outputs = [result.csv(), str(result.document()), as_text(result, "m"), as_xml(result, "m")]
    assert all(SYNTHETIC_WARNING in text and HINDCAST_WARNING in text for text in outputs)
    plain = bulletin()
    outputs = [plain.csv(), str(plain.document()), as_text(plain, "m"), as_xml(plain, "m")]
    assert not any("WARNING" in text for text in outputs)


def test_the_text_form_has_the_documented_header_and_columns() -> None:
    result = bulletin()
    x, m, c = (result.full_disk[event] for event in ("X1.0", "M1.0", "C1.0"))
    assert file_name(result, "solar flare_v3") == "Flare_Forecast_solar-flare-v3_20260404_1230"
    lines = as_text(result, "solar-flare").splitlines()
    assert lines[1:8] == [
        "Forecasting method: solar-flare",
        "Issue Time: 2026-04-04T12:30:00Z",
        "Prediction Window Start Time: 2026-04-04T12:30:00Z",
        "Prediction Window End Time: 2026-04-05T12:30:00Z",
        "Probability Bins: X M+ C+",
        "Input data: SDO/HMI LOS_Magnetogram, SDO/HMI Continuum, SDO/AIA",
        "Prediction window (hours): 24",
    ]
    assert lines[8:10] == [
        "#Full Disk Forecast",
        "#X_prob X_uncert X_Level M_prob M_uncert M_Level C_prob C_uncert C_Level",
    ]
    assert lines[10] == f"{x:.4f} -1.0000 1 {m:.4f} -1.0000 1 {c:.4f} -1.0000 1"


def test_a_class_that_is_not_forecast_is_missing_and_not_0() -> None:
    result = bulletin()
    without = replace(result, full_disk={**result.full_disk, "X1.0": None})
    assert as_text(without, "m").splitlines()[-1].startswith("-1.0000 -1.0000 1 0.")
    entries = ElementTree.fromstring(as_xml(without, "m")).iter("fluxbin")
    assert [entry.get("name") for entry in entries] == ["M+", "C+"]


def test_the_xml_form_has_the_documented_elements() -> None:
    result = bulletin()
    message = ElementTree.fromstring(as_xml(result, "m"))
    assert message.tag == "message"
    assert message.findtext("forecast/issuetime") == "2026-04-04T12:30:00Z"
    assert message.findtext("forecast/predictionwindow/endtime") == "2026-04-05T12:30:00Z"
    assert message.findtext("forecast/group/forecasttype") == "Full Disk"
    entry = message.find("forecast/group/entry[2]")
    assert entry.find("fluxbin").get("name") == "M+"
    assert entry.findtext("probability/value") == f"{result.full_disk['M1.0']:.4f}"
