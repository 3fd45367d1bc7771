from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from flare.datasets.synthetic.atmosphere import Instant, draw
from flare.datasets.synthetic.field import view_of
from flare.datasets.synthetic.region import make_regions
from flare.datasets.synthetic.render import Surroundings, draw_gaps
from flare.datasets.synthetic.textures import Drift
from flare.sample import CHANNELS, N_CHANNELS, physical_values


def log_r(gauss: np.ndarray) -> float:
    """Schrijver's (2007) R of a line-of-sight field at 128 pixels, with a floor."""
    coarse = np.clip(gauss, -250, 250).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    strong = [binary_dilation(sign * coarse > 150, np.ones((3, 3))) for sign in (1, -1)]
    weight = gaussian_filter((strong[0] & strong[1]).astype(float), 15 / 1.74 / 2.355)
    return float(np.log10((np.abs(coarse) * weight).sum() + 2000))


@pytest.fixture(scope="module")
def views() -> list[tuple[Surroundings, int, object]]:
    """One window of each of thirty regions of the training split."""
    regions = make_regions("training", 260, seed=1)[:30]
    middle = [len(region.windows) // 2 for region in regions]
    return [
        (Surroundings(region, 1), k, region.windows[k])
        for region, k in zip(regions, middle, strict=True)
    ]


@pytest.fixture(scope="module")
def instant() -> Instant:
    region = make_regions("training", 1, seed=0)[0]
    return next(Surroundings(region, 0).instants(region.windows[0], np.random.default_rng(0)))


def grey(channel: str, instant: Instant) -> np.ndarray:
    return draw(channel, instant, np.random.default_rng(0))


def test_r_and_bright_94_over_the_inversion_line_tell_of_the_flare_rate(views):
    measured, hot = [], []
    for surroundings, k, window in views:
        measured.append(log_r(surroundings.field(window, 0.0).gauss))
        first = next(surroundings.instants(window, np.random.default_rng(k)))
        hot.append(np.percentile(grey("94", first), 99.5))
    activity = [window.activity for _, _, window in views]
    assert np.corrcoef(measured, activity)[0, 1] > 0.55
    assert np.corrcoef(hot, activity)[0, 1] > 0.6


def test_a_window_is_the_same_whatever_was_drawn_before(views):
    surroundings, k, window = views[0]
    views[1][0].images(views[1][2], 0)
    first, again = surroundings.images(window, k), surroundings.images(window, k)
    np.testing.assert_array_equal(first.cube, again.cube)


def test_consecutive_magnetograms_show_the_same_region(views):
    surroundings, _, window = views[0]
    before, after = (surroundings.field(window, hours).gauss for hours in (-1.5, 0.0))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(("channel", "factor"), [("304", 14.7), ("335", 3.2), ("94", 1.0)])
def test_the_quiet_sun_fades_from_2010_to_2017_as_measured(instant, channel, factor):
    levels = [
        np.median(physical_values(grey(channel, replace(instant, mission=m)).astype("u1"), channel))
        for m in (0.0, 1.0)
    ]
    assert levels[0] / levels[1] == pytest.approx(factor, rel=0.12)


def test_beyond_the_limb_continuum_and_1700_are_black_and_the_magnetogram_noise(instant):
    sky = view_of(0.0, 75.0).mu == 0
    images = {
        channel: grey(channel, replace(instant, view=view_of(0.0, 75.0)))
        for channel in ("continuum", "1700", "magnetogram")
    }
    np.testing.assert_array_equal(np.rint(images["continuum"][sky]), 0)
    np.testing.assert_array_equal(np.rint(images["1700"][sky]), 0)
    assert np.median(images["magnetogram"][sky]) == pytest.approx(127.5, abs=1)
    assert images["magnetogram"][sky].std() == pytest.approx(18, abs=3)  # as in a real image


def test_the_disk_is_darker_towards_the_limb(instant):
    centre, limb = (
        np.median(grey("continuum", replace(instant, view=view_of(0.0, lon)))) for lon in (0, 60)
    )
    assert limb / centre == pytest.approx(1 - 0.6 * (1 - np.cos(np.radians(60))), rel=0.02)


def test_the_noise_of_a_quiet_magnetogram_is_about_six_gauss(instant):
    still = replace(
        instant,
        field=replace(instant.field, gauss=np.zeros_like(instant.field.gauss)),
        network=np.zeros_like(instant.network),
    )
    assert grey("magnetogram", still).std() * 500 / 255 == pytest.approx(6, abs=1)


def test_every_channel_is_finite_at_the_limb(instant):
    limb = replace(instant, view=view_of(-28.0, -80.0))
    assert all(np.isfinite(grey(channel, limb)).all() for channel in CHANNELS)


def test_a_few_images_are_missing_in_clusters_and_flagged_ones_are_aia_images_that_exist():
    rng = np.random.default_rng(0)
    broken = np.arange(N_CHANNELS) == 4
    draws = [draw_gaps(rng, np.zeros(N_CHANNELS, dtype=bool)) for _ in range(3000)]
    present, flagged = (np.array(part) for part in zip(*draws, strict=True))
    assert 0.01 < (~present).mean() < 0.025
    also_before = ~present[:, 2][~present[:, 3]]
    assert also_before.mean() > 5 * (~present).mean()
    assert flagged[:, :, :8].any()
    assert not flagged[:, :, 8:].any()
    assert not (flagged & ~present).any()
    assert not draw_gaps(rng, broken)[0][:, 4].any()


@pytest.mark.parametrize("kind", ["white", "cloud"])
def test_a_texture_changes_little_in_an_hour_and_wholly_in_its_lifetime(kind):
    drift = Drift(kind, np.random.default_rng(0), lifetime=24)
    start, soon, late = (drift.at(hours).ravel() for hours in (0, 1, 24))
    assert np.corrcoef(start, soon)[0, 1] > 0.95
    assert abs(np.corrcoef(start, late)[0, 1]) < 0.6
