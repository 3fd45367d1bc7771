"""Where regions and full-disk images come from: a folder, or JSOC and SWPC.

`SunSource` is the seam: a workflow asks for the list of regions and for the images of a channel
around a time, nearest first, and takes the first that it can use.
"""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from flare.datasets.sun.images import DAMAGED, RawImage, channel_of, quiet_sunpy, time_of
from flare.datasets.sun.regions import REGIONS_FILE
from flare.errors import DatasetNotFound, DownloadFailed

SWPC_REGIONS = "https://services.swpc.noaa.gov/json/solar_regions.json"

#: Hosts of the same archive, in the order in which they are tried.
JSOC_HOSTS = ("https://jsoc1.stanford.edu", "http://jsoc.stanford.edu")

#: Most files that are fetched for one image: the nearest may have bad quality.
MAX_TRIES = 3

#: Definitive images follow the near-real-time ones by about a week, which are then deleted.
_DEFINITIVE_AFTER = timedelta(days=8)

#: Series of SDOBenchmark's cadence first, then the means of 12 minutes; with and without `_nrt`.
_SERIES = {
    "magnetogram": ("hmi.M_45s", "hmi.M_720s"),
    "continuum": ("hmi.Ic_45s", "hmi.Ic_720s"),
}
_KEYWORDS = (
    "T_REC,T_OBS,DATE__OBS,TELESCOP,INSTRUME,CONTENT,BUNIT,QUALITY,CTYPE1,CTYPE2,CUNIT1,CUNIT2,"
    "CRVAL1,CRVAL2,CDELT1,CDELT2,CRPIX1,CRPIX2,CROTA2,CRLN_OBS,CRLT_OBS,DSUN_OBS,RSUN_OBS,RSUN_REF"
)
_TIMEOUT = (15.0, 60.0)  # seconds to connect, and without a byte
_LINK = re.compile(r'href="([^"?]+)"', re.IGNORECASE)
_AIA_FILE = re.compile(r"AIA(\d{8})_(\d{4}(?:\d\d)?)_0*(\d+)\.fits")
_SUFFIXES = (".fits", ".fts", ".fits.gz", ".fits.fz")


class SunSource(Protocol):
    """What a forecast of today's regions needs from outside."""

    name: str

    def regions(self) -> bytes:
        """Return SWPC's ``solar_regions.json``."""

    def images(self, channel: str, time: datetime, earliest: datetime, latest: datetime
               ) -> Iterator[RawImage]:  # fmt: skip
        """Yield files of a channel between two times, the nearest to ``time`` first.

        Raises DownloadFailed: no place of the source answers.
        """


class FolderSource:
    """A folder with ``solar_regions.json`` and FITS files of any names, nested or not.

    Channel and time are those of the headers. Files of other instruments are ignored.

    Raises DatasetNotFound: there is no such folder, list, or file.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder
        if not (folder / REGIONS_FILE).is_file():
            raise DatasetNotFound(
                f"source={folder}: there is no {REGIONS_FILE}; give a folder that has it and FITS "
                "images, or -P source=jsoc"
            )

    def regions(self) -> bytes:
        """Return the list in the folder."""
        return (self._folder / REGIONS_FILE).read_bytes()

    def images(self, channel: str, time: datetime, earliest: datetime, latest: datetime
               ) -> Iterator[RawImage]:  # fmt: skip
        """Yield the files whose headers fit; see `SunSource`."""
        fitting = [(abs(at - time), path) for of, at, path in self._files
                   if of == channel and earliest <= at <= latest]  # fmt: skip
        for _, path in sorted(fitting):
            yield RawImage(path.read_bytes(), path.name, {})

    @cached_property
    def _files(self) -> list[tuple[str, datetime, Path]]:
        paths = [path for path in sorted(self._folder.rglob("*"))
                 if path.name.lower().endswith(_SUFFIXES)]  # fmt: skip
        if not paths:
            raise DatasetNotFound(f"source={self._folder}: there is no FITS file")
        files = []
        for path in paths:
            header = _header(path)
            channel, time = channel_of(header), time_of(header)
            if channel is not None and time is not None:
                files.append((channel, time, path))
        return files


def _header(path: Path) -> dict[str, Any]:
    """Return all keywords of a file's parts; none if it is not FITS."""
    from astropy.io import fits

    with quiet_sunpy():
        try:
            with fits.open(path) as parts:
                parts.verify("silentfix+ignore")
                return {name: value for part in parts for name, value in part.header.items()}
        except (*DAMAGED, fits.VerifyError):
            return {}


class JsocSource:
    """JSOC's near-real-time images, and SWPC's regions.

    AIA: the synoptic images of 1024 x 1024 pixels, whose folders are listed. HMI: the full-disk
    series of 45 s that SDOBenchmark used, else those of 720 s, by the paths of ``jsoc_info``, which
    need no registered address. Definitive images serve for times of more than a week ago.

    ``get`` fetches an address as the function `get` does; a host that does not answer is not asked
    again.
    """

    name = "jsoc"

    def __init__(self, get: Callable[[str], bytes], *, now: datetime) -> None:
        self._get, self._now = get, now
        self._away: dict[str, DownloadFailed] = {}
        self._links: dict[str, list[str]] = {}

    def regions(self) -> bytes:
        """Fetch the list from SWPC."""
        try:
            return self._get(SWPC_REGIONS)
        except (FileNotFoundError, DownloadFailed) as error:
            raise DownloadFailed(
                f"{SWPC_REGIONS} cannot be fetched ({error}); try again later, or save it as "
                f"{REGIONS_FILE} in a folder with FITS images and pass -P source=FOLDER"
            ) from error

    def images(self, channel: str, time: datetime, earliest: datetime, latest: datetime
               ) -> Iterator[RawImage]:  # fmt: skip
        """Fetch files from the hosts in turn; see `SunSource`."""
        search = self._synoptic if channel.isdigit() else self._hmi
        for host in JSOC_HOSTS:
            if host in self._away:
                continue
            try:
                yield from search(host, channel, time, earliest, latest)
            except DownloadFailed as error:
                self._away[host] = error
        if len(self._away) == len(JSOC_HOSTS):
            raise DownloadFailed(
                f"no host of JSOC answers ({list(self._away.values())[-1]}); try again later, or "
                "pass -P source=FOLDER"
            )

    def _synoptic(self, host: str, channel: str, time: datetime, earliest: datetime,
                  latest: datetime) -> Iterator[RawImage]:  # fmt: skip
        for part in self._parts(time, "nrt/", ""):
            fitting = set()
            for hour in {f"{at:%Y/%m/%d/H%H00}" for at in (earliest, latest)}:
                folder = f"{host}/data/aia/synoptic/{part}{hour}/"
                for name in self._listing(folder):
                    match = _AIA_FILE.fullmatch(name)
                    if match and match[3] == channel:
                        digits = (match[1] + match[2]).ljust(14, "0")
                        at = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
                        if earliest <= at <= latest:
                            fitting.add((abs(at - time), folder + name))
            for _, address in sorted(fitting)[:MAX_TRIES]:
                yield from self._fetch(address, {})

    def _hmi(self, host: str, channel: str, time: datetime, earliest: datetime, latest: datetime
             ) -> Iterator[RawImage]:  # fmt: skip
        for part in self._parts(time, "_nrt", ""):
            for series in _SERIES[channel]:
                records = self._records(host, f"{series}{part}", channel, earliest, latest)
                dated = [(abs(at - time), address, keywords) for address, keywords in records
                         if (at := time_of(keywords)) and earliest <= at <= latest]  # fmt: skip
                for _, address, keywords in sorted(dated, key=lambda one: one[0])[:MAX_TRIES]:
                    yield from self._fetch(host + address, {**keywords, "CONTENT": channel})

    def _parts(self, time: datetime, recent: str, definitive: str) -> tuple[str, ...]:
        """Return the ends of names in the order in which they are tried."""
        old = self._now - time > _DEFINITIVE_AFTER
        return (definitive, recent) if old else (recent, definitive)

    def _records(self, host: str, series: str, segment: str, earliest: datetime, latest: datetime
                 ) -> list[tuple[str, Mapping[str, Any]]]:  # fmt: skip
        """Return path and keywords of the records of a series between two times."""
        minutes = (latest - earliest) // timedelta(minutes=1)
        # International Atomic Time is 37 s ahead of UTC; the times of the records decide.
        begin = earliest + timedelta(seconds=37)
        query = urlencode({
            "op": "rs_list", "ds": f"{series}[{begin:%Y.%m.%d_%H:%M:%S}_TAI/{minutes}m]",
            "key": _KEYWORDS, "seg": segment,
        })  # fmt: skip
        try:
            reply = json.loads(self._get(f"{host}/cgi-bin/ajax/jsoc_info?{query}"))
        except (FileNotFoundError, ValueError):
            return []
        paths = [path for part in reply.get("segments", ()) for path in part["values"]]
        columns = {part["name"].replace("DATE__OBS", "DATE-OBS"): part["values"]
                   for part in reply.get("keywords", ())}  # fmt: skip
        return [
            (path, {name: _value(values[row]) for name, values in columns.items()})
            for row, path in enumerate(paths) if path.startswith("/")
        ]  # fmt: skip

    def _listing(self, folder: str) -> list[str]:
        if folder not in self._links:
            try:
                page = self._get(folder).decode(errors="replace")
            except FileNotFoundError:
                page = ""
            self._links[folder] = [html.unescape(link) for link in _LINK.findall(page)]
        return self._links[folder]

    def _fetch(self, address: str, keywords: Mapping[str, Any]) -> Iterator[RawImage]:
        try:
            yield RawImage(self._get(address), address, keywords)
        except FileNotFoundError:
            return


def _value(text: Any) -> Any:
    """Return a keyword of jsoc_info, which writes all as text, as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def get(address: str) -> bytes:
    """Fetch an address, with three retries.

    Raises FileNotFoundError: the server says that there is nothing; DownloadFailed: it does not
    answer, or with an error.
    """
    retry = Retry(total=3, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504))
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            response = session.get(address, timeout=_TIMEOUT)
            if response.status_code in (404, 410):
                raise FileNotFoundError(address)
            response.raise_for_status()
            return response.content
        except requests.RequestException as error:
            host = urlsplit(address).hostname
            raise DownloadFailed(f"{host}: {type(error).__name__}") from error
