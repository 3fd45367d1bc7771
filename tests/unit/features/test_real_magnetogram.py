"""Fluxes of a real magnetogram: HARP 377 (NOAA 11158) at the time of the X2.2 flare.

The files are SHARP ones (``hmi.sharp_cea_720s.377.20110215_020000_TAI.*.fits``) from JSOC, in the
folder that the environment variable FLARE_SHARP_DIR names. ``astropy`` reads them.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from flare.features.magnetic import schrijver_r, unsigned_flux

FOLDER = os.environ.get("FLARE_SHARP_DIR")
NAME = "hmi.sharp_cea_720s.377.20110215_020000_TAI.{}.fits"

pytestmark = pytest.mark.skipif(FOLDER is None, reason="FLARE_SHARP_DIR names no folder")


def read(segment: str):
    fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
    with fits.open(Path(str(FOLDER)) / NAME.format(segment)) as images:
        images[-1].verify("silentfix")
        return images[-1].data.astype(np.float32), dict(images[-1].header)


@pytest.mark.filterwarnings("ignore")
def test_the_unsigned_flux_is_that_of_the_header():
    radial, header = read("Br")
    strong = (read("bitmap")[0] >= 30) & (read("conf_disambig")[0] >= 70)
    pixel_mm = np.radians(header["CDELT1"]) * header["RSUN_REF"] / 1e6
    flux = unsigned_flux(np.where(strong, radial, 0), pixel_mm)
    assert flux == pytest.approx(header["USFLUX"], rel=1e-4)  # 2.71476e22 Mx


@pytest.mark.filterwarnings("ignore")
def test_r_of_a_region_before_an_x_flare_is_where_schrijver_finds_them():
    # At MDI's 1.46 Mm. Schrijver 2007, figure 2: X flares from log R of about 4.2 on, in gauss
    # times pixels of MDI.
    field, header = read("magnetogram")
    pixel_mm = 4 * np.radians(header["CDELT1"]) * header["RSUN_REF"] / 1e6
    rows, columns = (edge // 4 for edge in field.shape)
    coarse = field[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4).mean(axis=(1, 3))
    r_mx = schrijver_r(coarse[None], pixel_mm)[0]
    assert 4.2 < np.log10(r_mx / (pixel_mm**2 * 1e16)) < 5.2
