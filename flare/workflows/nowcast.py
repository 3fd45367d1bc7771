"""Entry point ``nowcast``: forecast the numbered regions of the real Sun."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flare.config import NOW, NowcastConfig
from flare.datasets.sun import require_sunpy
from flare.datasets.sun.cutout import FIELD_ARCSEC
from flare.datasets.sun.regions import REGIONS_FILE, parse_regions
from flare.datasets.sun.sources import FolderSource, JsocSource, SunSource, get
from flare.errors import ConfigInvalid, InputInvalid
from flare.files import atomic_folder, check_folder, combine_digests, digest
from flare.forecast_facts import now, parse_time, utc_text
from flare.forecasters.training_inputs import ABSTAIN
from flare.goes import HEADLINE_EVENT
from flare.plots.full_disk import RegionBox, full_disk_figure
from flare.plots.style import save
from flare.tracking.run import Run, log_data
from flare.tracking.runs import start
from flare.workflows.nowcasting import scoreboard
from flare.workflows.nowcasting.bulletin import Bulletin, make_bulletin
from flare.workflows.nowcasting.gathering import Gathered, gather
from flare.workflows.prediction.resolve_model import resolve

log = logging.getLogger("flare")

JSOC = "jsoc"


@dataclass(frozen=True)
class Nowcast:
    """The forecasts, the folder of their files, and the run."""

    bulletin: Bulletin
    folder: Path
    run_id: str


def run(config: NowcastConfig) -> Nowcast:
    """Gather images, forecast, and write and log the forecasts of one issue time."""
    require_sunpy()
    check_folder(config.output_dir, "output_dir")
    made_at = now()
    issue_time = _issue_time(config.time, made_at)
    source = source_of(config.source, made_at)
    with start("nowcast", name=f"nowcast {utc_text(issue_time)}") as tracked:
        tracked.log_config(config)
        model = resolve(config.model, config.model_name).at_rates(config.rates)
        listed = source.regions()
        regions = parse_regions(listed, issue_time, name=f"{REGIONS_FILE} of {source.name}")
        gathered = gather(source, regions, issue_time, model.forecaster.spec.image_size)
        bulletin = make_bulletin(
            gathered,
            model,
            issue_time=issue_time,
            made_at=made_at,
            max_age_minutes=config.max_age,
            source=source.name,
        )
        if not bulletin.forecasts:
            raise InputInvalid(_no_forecast(bulletin, config.max_age))
        folder = config.output_dir / f"{issue_time:%Y%m%dT%H%MZ}"
        with atomic_folder(folder) as draft:
            _write(draft, bulletin, gathered)
        log_data(
            tracked,
            name=f"Sun {utc_text(issue_time)}",
            fingerprint=combine_digests({**gathered.images, REGIONS_FILE: digest(listed)}),
            source=source.name,
            synthetic=False if config.source == JSOC else None,
            context="nowcast",
            profile={"regions": len(regions), "images": len(gathered.images)},
        )
        model.log_use(tracked)
        _log(tracked, bulletin, folder)
    return Nowcast(bulletin, folder, tracked.id)


def _issue_time(text: str, now: datetime) -> datetime:
    if text == NOW:
        return now.replace(second=0, microsecond=0)
    time = parse_time(text, "time")
    if time > now:
        raise ConfigInvalid(f"time={text} is in the future; give now, or a time before it")
    return time


def source_of(text: str, now: datetime) -> SunSource:
    """Return the source of a parameter: ``jsoc``, or a folder.

    Raises ConfigInvalid, DatasetNotFound: there is no such source, or the folder lacks its files.
    """
    if text == JSOC:
        return JsocSource(get, now=now)
    if not Path(text).is_dir():
        raise ConfigInvalid(f"source={text} is neither jsoc nor a folder; give one of them")
    return FolderSource(Path(text))


def _no_forecast(bulletin: Bulletin, max_age: float) -> str:
    """Say why there is no forecast of any region, by the reasons of the first."""
    first = bulletin.rows[0]
    return (
        f"no forecast of {len(bulletin.rows)} regions at {utc_text(bulletin.issue_time)}; region "
        f"{first['active_region']}: {'; '.join(first['reasons'])}; wait for newer images, or give "
        f"another -P time=, -P max_age= (now {max_age:g} min) or -P model="
    )


def _write(folder: Path, bulletin: Bulletin, gathered: Gathered) -> None:
    """Write all files of one issue time into a new folder."""
    document = {
        **bulletin.document(),
        "images": gathered.images,
        "images_not_used": [vars(one) for one in gathered.refused],
    }
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    (folder / "forecasts.json").write_text(text, encoding="utf-8")
    (folder / "forecasts.csv").write_text(bulletin.csv(), encoding="utf-8")
    model = bulletin.model
    name = f"{model.name if model.version else model.forecaster.kind} {model.number}"
    stem = scoreboard.file_name(bulletin, name)
    (folder / f"{stem}.txt").write_text(scoreboard.as_text(bulletin, name), encoding="utf-8")
    (folder / f"{stem}.xml").write_text(scoreboard.as_xml(bulletin, name), encoding="utf-8")
    _figure(folder / "full_disk.png", bulletin, gathered)


def _figure(path: Path, bulletin: Bulletin, gathered: Gathered) -> None:
    picture = gathered.picture
    if picture is None:
        return
    boxes = [
        RegionBox(
            *picture.places[row["active_region"]],
            text=f"{row['active_region']}\n"
            + ("no forecast" if row["status"] == ABSTAIN else f"{row['mx_probability']:.1%}"),
            alert=row["alert"],
        )
        for row in bulletin.rows
        if row["active_region"] in picture.places
    ]
    whole = bulletin.full_disk[HEADLINE_EVENT]
    notes = [
        f"P(at least {HEADLINE_EVENT}) of each region by {bulletin.model.label}, issued "
        f"{utc_text(bulletin.issue_time)}, valid to {utc_text(bulletin.valid_to)}; orange: alert, "
        f"grey: no forecast. Image: {picture.channel} at {utc_text(picture.time)}.",
        f"Full disk: {'-' if whole is None else f'{whole:.1%}'}. {bulletin.full_disk_note()}.",
    ]
    figure = full_disk_figure(
        picture.grey, boxes, channel=picture.channel, field=picture.field, radius=picture.radius,
        box_width=FIELD_ARCSEC, title=f"Forecast of {bulletin.issue_time:%Y-%m-%d %H:%M} UTC, "
        f"{bulletin.window_hours} h", small_print=" ".join(notes),
        warning="; ".join(bulletin.warnings),
    )  # fmt: skip
    save(figure, path)


def _log(tracked: Run, bulletin: Bulletin, folder: Path) -> None:
    tracked.log_metrics({
        "forecasts": len(bulletin.forecasts),
        "without_forecast": len(bulletin.rows) - len(bulletin.forecasts),
        "missing_images": sum(row["missing_images"] for row in bulletin.rows),
        "newest_image_age_minutes": bulletin.age_minutes or 0.0,
        **{f"full_disk/{event}": p for event, p in bulletin.full_disk.items() if p is not None},
    })  # fmt: skip
    for path in sorted(folder.iterdir()):
        tracked.log_file(path)
    lines = [*bulletin.warnings, f"Full disk: {bulletin.full_disk_note()}"]
    tracked.describe("\n\n".join(lines))
