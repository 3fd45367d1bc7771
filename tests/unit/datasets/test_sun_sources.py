"""JSOC's answers, invented in the shape of real ones: which files are fetched, and what fails."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from flare.datasets.sun.images import RawImage, read_image
from flare.datasets.sun.sources import JSOC_HOSTS, SWPC_REGIONS, JsocSource
from flare.errors import DownloadFailed

from sun_images import fits_image

TIME = datetime(2026, 11, 29, 23, 58, tzinfo=UTC)
SPAN = timedelta(minutes=15)
LISTING = """<html><table><tr><td><a href="?C=N;O=D">Name</a></td></tr>
<a href="/data/aia/synoptic/nrt/2026/11/">Parent Directory</a>
<a href="AIA{day}_{hour}5400_0193.fits">AIA</a> <a href="AIA{day}_{hour}0300_0193.fits">AIA</a>
<a href="AIA{day}_{hour}5400_1600.fits">AIA</a> <a href="AIA{day}_{hour}5700_0193.fits">AIA</a>
<a href="image_times">times</a></table></html>"""


def records(series: str) -> dict[str, object]:
    """Answer as jsoc_info does: all values are text, by keyword and not by record."""
    times = ["2026.11.29_23:57:37_TAI", "2026.11.29_23:58:22_TAI"]
    keywords = {"T_OBS": times, "QUALITY": ["0x00000400"] * 2, "CRPIX1": ["2035.5"] * 2,
                "DATE__OBS": ["MISSING"] * 2, "CROTA2": ["179.92"] * 2}  # fmt: skip
    return {
        "keywords": [{"name": name, "values": values} for name, values in keywords.items()],
        "segments": [{"name": "magnetogram", "values": [f"/SUM1/{series}/{k}.fits" for k in "ab"]}],
        "count": 2, "status": 0,
    }  # fmt: skip


class Web:
    """Answers of hosts, and a record of what was asked."""

    def __init__(self, *, away: tuple[str, ...] = (), nrt: bool = True) -> None:
        self.away, self.nrt, self.asked = away, nrt, list[str]()

    def get(self, address: str) -> bytes:
        self.asked.append(address)
        parts = urlsplit(address)
        if f"{parts.scheme}://{parts.netloc}" in self.away:
            raise DownloadFailed("away")
        if parts.path.endswith("jsoc_info"):
            series = parse_qs(parts.query)["ds"][0].partition("[")[0]
            if series.endswith("_nrt") != self.nrt:
                return b'{"status": 1, "error": "no such series"}'
            return json.dumps(records(series)).encode()
        if parts.path.endswith(".fits"):
            return parts.path.encode()
        if ("/nrt/" in parts.path) != self.nrt or not parts.path.endswith("/"):
            raise FileNotFoundError(address)
        *_, year, month, day, hour, _ = parts.path.split("/")
        return LISTING.format(day=f"{year}{month}{day}", hour=hour[1:3]).encode()


def fetched(web: Web, channel: str, *, now: datetime = TIME + SPAN) -> list[RawImage]:
    source = JsocSource(web.get, now=now)
    return list(source.images(channel, TIME, TIME - SPAN, TIME + SPAN))


def test_synoptic_images_are_listed_in_both_hours_and_the_nearest_comes_first() -> None:
    names = [raw.source.rpartition("/")[2] for raw in fetched(Web(), "193")]
    assert names[:3] == [
        "AIA20261129_235700_0193.fits", "AIA20261129_235400_0193.fits",
        "AIA20261130_000300_0193.fits",
    ]  # fmt: skip
    assert fetched(Web(), "171") == []


@pytest.mark.parametrize(("days", "part"), [(0, "synoptic/nrt/2026"), (30, "synoptic/2026")])
def test_definitive_images_are_asked_first_where_they_must_be_there(days: int, part: str) -> None:
    web = Web()
    fetched(web, "193", now=TIME + timedelta(days=days))
    assert part in web.asked[0]


def test_magnetograms_get_the_keywords_that_their_files_lack() -> None:
    web = Web()
    raw = fetched(web, "magnetogram")[0]
    assert raw.source.endswith("/SUM1/hmi.M_45s_nrt/b.fits")  # 23:57:45 UTC
    assert raw.keywords["CRPIX1"] == 2035.5
    asked = parse_qs(urlsplit(web.asked[0]).query)
    assert asked["ds"] == ["hmi.M_45s_nrt[2026.11.29_23:43:37_TAI/30m]"]
    keywords = {"CROTA2": 179.92, "CONTENT": raw.keywords["CONTENT"], "QUALITY": "0x00000400"}
    image = read_image(RawImage(fits_image("magnetogram", TIME, CONTENT="?"), "x", keywords))
    assert image.channel == "magnetogram"
    assert image.map.meta["crota2"] == 179.92


@pytest.mark.parametrize("channel", ["193", "magnetogram"])
def test_another_product_and_another_host_are_tried_and_a_dead_host_is_not_asked_again(
    channel: str,
) -> None:
    assert "nrt" not in fetched(Web(nrt=False), channel)[0].source
    web = Web(away=JSOC_HOSTS[:1])
    source = JsocSource(web.get, now=TIME)
    for _ in range(2):
        (first, *_) = source.images(channel, TIME, TIME - SPAN, TIME + SPAN)
        assert first.source.startswith(JSOC_HOSTS[1])
    assert sum(one.startswith(JSOC_HOSTS[0]) for one in web.asked) == 1


def test_with_all_hosts_away_one_line_says_what_to_do() -> None:
    with pytest.raises(DownloadFailed, match=r"no host of JSOC answers .*-P source=FOLDER"):
        fetched(Web(away=JSOC_HOSTS), "193")


def test_the_list_of_regions_is_swpcs() -> None:
    answers = {SWPC_REGIONS: b"[]"}
    assert JsocSource(answers.__getitem__, now=TIME).regions() == b"[]"
    web = Web(away=("https://services.swpc.noaa.gov",))
    with pytest.raises(DownloadFailed, match=r"cannot be fetched \(away\); try again later"):
        JsocSource(web.get, now=TIME).regions()
