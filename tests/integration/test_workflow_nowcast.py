"""``nowcast`` as a whole on a folder of FITS images of an invented Sun, without a network."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from entrypoints.nowcast import show_nowcast
from flare.config import NowcastConfig
from flare.config.verify import VerifyConfig
from flare.errors import ConfigInvalid, DatasetNotFound, FlareError, InputInvalid
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import save
from flare.workflows.nowcast import Nowcast, run
from flare.workflows.nowcasting.bulletin import CALIBRATION, HINDCAST_WARNING, SYNTHETIC_WARNING
from flare.workflows.nowcasting.gathering import Gathered, gather
from flare.workflows.verify import run as verify

from sun_images import fits_image, write_sun
from workplace import working_in

ISSUE = datetime(2026, 4, 4, 12, tzinfo=UTC)
REGIONS = [(14397, 12.0, -22.0), (14398, -18.0, 10.0), (14400, 8.0, 89.0)]  # the last one has set


@pytest.fixture(scope="module")
def sun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three regions; two images are missing, one is a day old, one has bad quality."""
    folder = tmp_path_factory.mktemp("sun") / "sun"
    write_sun(folder, ISSUE, REGIONS, without=[(0, "94"), (1, "304")])
    late = fits_image("335", ISSUE - timedelta(days=1), pixels=512)
    (folder / "2_335.fits").write_bytes(late)
    step = ISSUE - timedelta(minutes=90)
    (folder / "2_131.fits").write_bytes(fits_image("131", step, pixels=512, QUALITY=0x40000200))
    (folder / "notes.fits").write_bytes(b"no FITS")
    return folder


@pytest.fixture(scope="module")
def done(sun: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nowcast, Gathered]]:
    """A run by the climatology of synthetic regions, and the cubes that it forecast from."""
    home = tmp_path_factory.mktemp("home")
    origin = Origin("0" * 16, "test", True, (), 4)
    labels = np.array([1e-9, 3e-7, 2e-6, 3e-5])
    save(fit_climatology(labels, spec=ForecasterSpec(32), origin=origin), home / "model")
    seen = []

    def spy(*given: Any) -> Gathered:
        seen.append(gather(*given))
        return seen[-1]

    with working_in(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr("flare.workflows.nowcast.gather", spy)
        yield run(config(sun, output_dir=home / "out")), seen[0]


def config(folder: Path, **settings: Any) -> NowcastConfig:
    defaults = {"time": ISSUE.isoformat(), "source": str(folder), "model": "model"}
    return NowcastConfig(**defaults | settings)


def test_every_region_in_view_gets_a_forecast_and_the_one_that_set_none(done) -> None:
    document = json.loads((done[0].folder / "forecasts.json").read_text())
    rows = {row["active_region"]: row for row in document["regions"]}
    assert list(rows) == [14397, 14398, 14400]
    assert [row["status"] for row in rows.values()] == ["degraded", "degraded", "abstain"]
    assert rows[14397]["missing_images"] == 4
    assert [tuple(one.values()) for one in rows[14397]["missing"]] == [
        (0, "94"), (1, "304"), (2, "131"), (2, "335"),
    ]  # fmt: skip
    assert "3 x no image within 15 min" in rows[14397]["reasons"]
    assert "1 x quality 0x00000200" in rows[14397]["reasons"]
    assert 0 < rows[14398]["mx_probability"] < 1
    assert rows[14400]["mx_probability"] is None
    assert (document["issue_time"], document["valid_to"]) == (
        "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z",
    )  # fmt: skip
    assert document["newest_image_age_minutes"] == pytest.approx(8.5, abs=0.2)
    assert CALIBRATION in document["full_disk"]["calibration"]
    assert document["warnings"] == [SYNTHETIC_WARNING, HINDCAST_WARNING]


def test_the_fields_of_the_cubes_have_the_region_in_their_middle(done) -> None:
    _, gathered = done
    assert gathered.present.sum() == 2 * 36
    for row, step, channel in np.argwhere(gathered.present):
        image = gathered.cubes[row, step, channel].astype(float)
        middle = image[14:18, 14:18].mean()
        assert middle > image.mean() + 2 * image.std(), (row, step, channel)


def test_verify_reads_the_table_as_it_is(done, tmp_path: Path) -> None:
    table = pd.read_csv(done[0].folder / "forecasts.csv")
    assert list(table["active_region"]) == [14397, 14398, 14400]
    flares = tmp_path / "flares.csv"
    flares.write_text(
        "peak_time,goes_class,noaa_ar\n2026-04-01T00:00Z,C1.0,\n"
        "2026-04-04T20:00Z,M1.5,14398\n2026-04-06T00:00Z,C1.0,\n"
    )
    result = verify(
        VerifyConfig(
            forecasts=str(done[0].folder / "forecasts.csv"), events=flares, by="region",
            bootstrap="region", resamples=100, output_dir=tmp_path / "report",
        )
    )  # fmt: skip
    samples = pd.read_csv(result.report / "samples.csv")
    assert len(samples) == 3


def test_the_run_has_the_files_the_numbers_and_the_data(done) -> None:
    tracked = mlflow.get_run(done[0].run_id)
    assert tracked.data.metrics["forecasts"] == 2
    assert tracked.data.metrics["without_forecast"] == 1
    assert tracked.inputs.dataset_inputs[0].dataset.name == "Sun 2026-04-04T12:00:00Z"
    names = {one.path for one in mlflow.artifacts.list_artifacts(run_id=done[0].run_id)}
    (stem,) = {
        path.stem for path in done[0].folder.glob("Flare_Forecast_climatology-*_20260404_1200.txt")
    }
    files = {"forecasts.csv", "forecasts.json", "full_disk.png", f"{stem}.txt", f"{stem}.xml"}
    assert files <= names
    assert {path.name for path in done[0].folder.iterdir()} == files


def test_the_terminal_says_what_it_is_worth(done, capsys) -> None:
    show_nowcast(done[0])
    text = capsys.readouterr().out
    assert text.startswith(SYNTHETIC_WARNING)
    assert "inflated" in text
    assert "14400: behind the limb" in text
    assert "N12E22" in text


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"time": "2026-04-04T11:40Z"}, InputInvalid, "no forecast of 3 regions"),  # no later image
        ({"time": "2026-04-07T12:00Z"}, InputInvalid, "no region of the 48 hours"),
        ({"time": "2999-01-01T00:00Z"}, ConfigInvalid, "in the future"),
        ({"source": "nowhere"}, ConfigInvalid, "neither jsoc nor a folder"),
        ({"source": "{empty}"}, DatasetNotFound, r"no solar_regions\.json"),
        ({"source": "{listed}"}, DatasetNotFound, "no FITS file"),
    ],
)
def test_bad_input_gets_one_line_and_nothing_written(
    sun: Path, done, tmp_path: Path, settings: dict[str, Any],
    error: type[FlareError], message: str,
) -> None:  # fmt: skip
    places = {name: tmp_path / name for name in ("empty", "listed")}
    for folder in places.values():
        folder.mkdir()
    shutil.copy(sun / "solar_regions.json", places["listed"])
    if "source" in settings:
        settings = {"source": settings["source"].format(**places)}
    with pytest.raises(error, match=message):
        run(config(sun, output_dir=tmp_path / "out", **settings))
    assert not list((tmp_path / "out").rglob("*"))


def test_without_sunpy_one_line_says_what_to_install(sun: Path, monkeypatch) -> None:
    from flare.datasets import sun as package

    monkeypatch.setattr(package, "find_spec", lambda name: None if name == "sunpy" else True)
    with pytest.raises(ConfigInvalid, match=r"not installed, sunpy; run pip install"):
        run(config(sun))
