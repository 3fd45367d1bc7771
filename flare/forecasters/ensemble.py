"""The mean of several forecasters, such as forests and networks of different seeds or sizes.

The mean of the members' calibrated probabilities is calibrated once more: where members are each
calibrated their mean is underconfident (Ranjan and Gneiting 2010,
doi:10.1111/j.1467-9868.2009.00726.x).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import ConfigInvalid, ForecasterInvalid
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster, Origin, check_cubes
from flare.forecasters.storage import load, read_description, save
from flare.sample import Cube, Present, reduce_cubes

_MEMBER = re.compile(r"member-\d{2}")
_MAX_MEMBERS = 100  # two digits


@dataclass(frozen=True)
class EnsembleForecaster(Forecaster):
    """The mean of its members: of log10 flux, and of each event's probability."""

    kind: ClassVar[str] = "ensemble"
    members: tuple[Forecaster, ...]

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Return the mean of the members' forecasts of N samples."""
        check_cubes(cubes, present)
        reduced = reduce_cubes(cubes, self.spec.image_size)
        flux, probability = mean_of([one.predict(reduced, present) for one in self.members])
        return self.postprocessing.apply(flux, probability, self.spec.events)

    @property
    def engine(self) -> str:
        """The engines of its members, each once: ``numpy, onnxruntime``."""
        return ", ".join(sorted({one.engine for one in self.members}))

    @property
    def device(self) -> str:
        """``cuda`` if one of its members computes there, else ``cpu``."""
        return max(one.device for one in self.members)

    def exported(self) -> Self:
        """Return it with the networks of its members exported."""
        return replace(self, members=tuple(one.exported() for one in self.members))

    def with_threads(self, threads: int) -> Self:
        """Return it with this number of threads a call in the networks of its members."""
        return replace(self, members=tuple(one.with_threads(threads) for one in self.members))

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Save every member in a folder of its own; return their names and digests."""
        members = []
        for number, member in enumerate(self.members):
            name = f"member-{number:02d}"
            saved = save(member, folder / name)
            members.append({"folder": name, "digest": read_description(saved)["digest"]})
        return {"members": members}

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Load every member; refuse other names, and ensembles among them."""
        members = []
        for one in parts["members"]:
            name = str(one["folder"])
            # An ensemble as a member might be this one, without end.
            if not _MEMBER.fullmatch(name) or read_description(folder / name)["kind"] == cls.kind:
                raise ForecasterInvalid(
                    f"{name!r} in {folder} is not the folder of a member; fetch it again"
                )
            members.append(load(folder / name))
        if not members:
            raise ForecasterInvalid(f"the ensemble in {folder} has no members; fetch it again")
        return {"members": tuple(members)}


def mean_of(forecasts: Sequence[Forecast]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean log10 flux, (N,), and the mean probabilities, (N, E), of several forecasts.

    The mean of log10 flux is the geometric mean of the flux.
    """
    flux = np.mean([one.log10_flux for one in forecasts], axis=0)
    return flux, np.mean([one.probability for one in forecasts], axis=0)


def combine(members: Sequence[Forecaster]) -> EnsembleForecaster:
    """Make an ensemble without postprocessing, on images of the largest size of its members.

    Raises ConfigInvalid: fewer than two members, ensembles among them, or members of different
    data, events, channels or windows, or of image sizes that do not divide one another.
    """
    if not 2 <= len(members) <= _MAX_MEMBERS:
        raise ConfigInvalid(f"{len(members)} members; an ensemble has from 2 to {_MAX_MEMBERS}")
    if any(isinstance(one, EnsembleForecaster) for one in members):
        raise ConfigInvalid("an ensemble cannot be a member of another; name its members instead")
    size = max(one.spec.image_size for one in members)
    first = replace(members[0].spec, image_size=size)
    for number, one in enumerate(members, start=1):
        if replace(one.spec, image_size=size) != first:
            raise ConfigInvalid(
                f"member {number} has another input or output than member 1: {one.spec} and "
                f"{members[0].spec}; choose models of the same events, channels and window"
            )
        if size % one.spec.image_size:
            raise ConfigInvalid(
                f"member {number} works on images of {one.spec.image_size} pixels, which does not "
                f"divide {size}; choose sizes that do"
            )
    return EnsembleForecaster(tuple(members), spec=first, origin=_origin(members))


def _origin(members: Sequence[Forecaster]) -> Origin:
    """Return the regions of all members together."""
    origins = [one.origin for one in members]
    first = origins[0]
    for number, one in enumerate(origins, start=1):
        if one.data_fingerprint != first.data_fingerprint:
            raise ConfigInvalid(
                f"member {number} was trained on {one.data_name} ({one.data_fingerprint[:12]}) and "
                f"member 1 on {first.data_name} ({first.data_fingerprint[:12]}); choose models of "
                "one dataset"
            )
    regions = sorted({region for one in origins for region in one.active_regions})
    return replace(
        first, active_regions=tuple(regions), n_samples=max(one.n_samples for one in origins)
    )
