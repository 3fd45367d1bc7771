"""Forecast the numbered regions of the real Sun: `mlflow run . -e nowcast -P source=jsoc`."""

from typing import TYPE_CHECKING

from entrypoints.command import run
from entrypoints.show import plain_table, wide_console
from flare.config import NowcastConfig
from flare.forecast_facts import utc_text

if TYPE_CHECKING:
    from flare.workflows.nowcast import Nowcast


def main(config: NowcastConfig) -> None:
    """Forecast, and print the regions."""
    from flare.workflows.nowcast import run as nowcast

    show_nowcast(nowcast(config))


def show_nowcast(nowcast: "Nowcast") -> None:
    """Print a row a region, the full disk, and where the files are."""
    bulletin = nowcast.bulletin
    for warning in bulletin.warnings:
        print(warning)
    events = list(bulletin.full_disk)
    table = plain_table("region", "place", "status", numbers=[f"P(>= {one})" for one in events])
    for row in bulletin.rows:
        chances = [_percent(row["probabilities"][event]) for event in events]
        alert = ", ALERT" if row["alert"] else ""
        missing = f", {row['missing_images']} missing" if row["missing_images"] else ""
        table.add_row(
            str(row["active_region"]), _place(row["latitude"], row["longitude"]),
            f"{row['status']}{missing}{alert}", *chances,
        )  # fmt: skip
    table.add_row("full disk", "", "inflated", *map(_percent, bulletin.full_disk.values()))
    wide_console().print(table)
    why: dict[str, list[str]] = {}
    for row in bulletin.rows:
        why.setdefault("; ".join(row["reasons"]), []).append(str(row["active_region"]))
    for reasons, regions in why.items():
        if reasons:
            print(f"{', '.join(regions)}: {reasons}")
    print(f"full disk: {bulletin.full_disk_note()}")
    print(
        f"issued {utc_text(bulletin.issue_time)}, valid to {utc_text(bulletin.valid_to)}, newest "
        f"image {bulletin.age_minutes:g} min before; by {bulletin.model.label}, images of "
        f"{bulletin.source}"
    )
    print(f"forecasts, figure and scoreboard files: {nowcast.folder}/  (run {nowcast.run_id})")


def _percent(chance: float | None) -> str:
    return "-" if chance is None else f"{chance:.1%}"


def _place(latitude: float, longitude: float) -> str:
    north, west = "N" if latitude >= 0 else "S", "W" if longitude >= 0 else "E"
    return f"{north}{abs(latitude):02.0f}{west}{abs(longitude):02.0f}"


if __name__ == "__main__":
    run("nowcast", NowcastConfig, main)
