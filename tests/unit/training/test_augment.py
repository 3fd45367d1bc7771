"""What may be done to training samples, and that nothing else is."""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
import torch

from flare.config.network_groups import ObjectiveOptions
from flare.datasets.synthetic.region import make_region
from flare.datasets.synthetic.render import Surroundings
from flare.models.normalisation import ChannelNormalisation
from flare.sample import CHANNELS, MAGNETOGRAM, N_CHANNELS, grey_levels, physical_values
from flare.training.augment import Draws, build_augmentation

N, EDGE = 6, 20
RNG = np.random.default_rng(0)
GREY = RNG.integers(1, 255, (N, 4, 10, EDGE, EDGE), dtype=np.uint8)
PRESENT = torch.from_numpy(RNG.random((N, 4, 10)) < 0.9)
NORMALISE = ChannelNormalisation(
    tuple(np.linspace(40, 180, 10).tolist()), tuple(np.linspace(12, 35, 10).tolist())
)
OBJECTIVES = {
    "mirror": ObjectiveOptions(),
    "shift": ObjectiveOptions(mirror=False, shift=0.1),
    "brightness_jitter": ObjectiveOptions(mirror=False, brightness_jitter=0.5),
    "image_dropout": ObjectiveOptions(mirror=False, image_dropout=0.3),
    "all": ObjectiveOptions(shift=0.1, brightness_jitter=0.5, image_dropout=0.3),
}
EVERY = OBJECTIVES["all"]
every_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


def draws_with(n: int = N, **drawn: np.ndarray) -> Draws:
    """Return draws that change nothing but what is given."""
    return replace(
        Draws(
            np.zeros((n, 2), dtype=bool),
            np.zeros((n, 2)),
            np.zeros((n, 10)),
            np.zeros((n, 4, 10), dtype=bool),
        ),
        **drawn,
    )


def augmented(objective, draws, some=slice(None)):
    """Return the augmented inputs and the mask of some samples."""
    inputs, present = untouched()[some], PRESENT[some].clone()
    return build_augmentation(objective, NORMALISE)(inputs, present, draws)


def random_draws(objective, seed=0, n=N) -> Draws:
    return build_augmentation(objective, NORMALISE).draw(np.random.default_rng(seed), n)


def untouched(grey=GREY):
    return NORMALISE(torch.from_numpy(grey.copy()), PRESENT)


def assert_close(result, expected):
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_where_every_strength_is_0_there_is_no_augmentation():
    assert build_augmentation(ObjectiveOptions(mirror=False), NORMALISE) is None


@every_objective
def test_draws_of_nothing_leave_samples_as_they_are(objective):
    inputs, present = augmented(objective, draws_with())
    assert_close(inputs, untouched())
    assert torch.equal(present, PRESENT)


@pytest.mark.parametrize(("east_west", "north_south"), list(product([False, True], repeat=2)))
def test_a_mirror_is_that_of_the_grey_levels_with_the_polarities_swapped(east_west, north_south):
    grey = GREY[..., :: 1 - 2 * north_south, :: 1 - 2 * east_west].copy()
    if east_west != north_south:
        grey[:, :, MAGNETOGRAM] = 255 - grey[:, :, MAGNETOGRAM]
    inputs, _ = augmented(
        ObjectiveOptions(), draws_with(flips=np.tile([east_west, north_south], (N, 1)))
    )
    assert_close(inputs, untouched(grey))


def leads_negative(cubes: torch.Tensor) -> np.ndarray:
    """Return whether the negative polarity is the western one in each sample's last magnetogram."""
    field = cubes[:, 3, MAGNETOGRAM].double().numpy()
    x = np.arange(field.shape[-1])
    centres = [
        (part * x).sum(axis=(1, 2)) / part.sum(axis=(1, 2))
        for part in (np.maximum(field, 0), np.maximum(-field, 0))
    ]
    return centres[1] > centres[0]  # west is to the right


def test_mirrors_leave_the_share_of_synthetic_regions_that_conform_to_hales_law():
    regions = [make_region("training", index, seed=0) for index in range(8)]
    fields = [Surroundings(one, 0).field(one.windows[0], 0.0).gauss for one in regions]
    cubes = torch.zeros((8, 4, 10, 256, 256))
    cubes[:, 3, MAGNETOGRAM] = torch.from_numpy(np.stack(fields))
    north = np.array([one.latitude > 0 for one in regions])
    conform = leads_negative(cubes) == north  # cycle 24
    assert conform.mean() > 0.8
    mirror = build_augmentation(
        ObjectiveOptions(), ChannelNormalisation((127.5,) * 10, (1.0,) * 10)
    )
    present = torch.ones((8, 4, 10), dtype=torch.bool)
    for east_west, north_south in product((False, True), repeat=2):
        draws = draws_with(8, flips=np.tile([east_west, north_south], (8, 1)))
        mirrored, _ = mirror(cubes.clone(), present, draws)
        np.testing.assert_array_equal(leads_negative(mirrored) == (north ^ north_south), conform)


@pytest.mark.parametrize(("down", "right"), [(2, -1), (-2, 0), (0, 2)])
def test_a_shift_moves_whole_pixels_and_repeats_the_edge(down, right):
    moved = np.pad(GREY, [(0, 0)] * 3 + [(2, 2)] * 2, mode="edge")
    moved = moved[..., 2 - down : 2 - down + EDGE, 2 - right : 2 - right + EDGE]
    shifts = np.tile([down / EDGE, right / EDGE], (N, 1))
    inputs, _ = augmented(OBJECTIVES["shift"], draws_with(shifts=shifts))
    assert_close(inputs, untouched(np.ascontiguousarray(moved)))


def test_a_brightness_jitter_is_a_factor_on_the_physical_brightness_and_leaves_hmi_alone():
    inputs, _ = augmented(
        OBJECTIVES["brightness_jitter"], draws_with(jitter=np.full((N, 10), np.log(0.8)))
    )
    for k, channel in enumerate(CHANNELS):
        faded = GREY[:, :, k].astype(np.float64)
        if channel not in ("continuum", "magnetogram"):
            faded = grey_levels(0.8 * physical_values(GREY[:, :, k], channel), channel)
        faded = torch.from_numpy((np.clip(faded, 0, 255) - NORMALISE.mean[k]) / NORMALISE.std[k])
        expected = torch.where(PRESENT[:, :, k, None, None], faded, 0.0).float()
        torch.testing.assert_close(inputs[:, :, k], expected, rtol=0, atol=1e-4)


def test_no_brightness_jitter_leaves_the_grey_levels():
    black, white = ((level - np.array(NORMALISE.mean)) / NORMALISE.std for level in (0, 255))
    jitter = np.tile([[9.0], [-9.0]], (N // 2, 10))
    inputs, _ = augmented(OBJECTIVES["brightness_jitter"], draws_with(jitter=jitter))
    per_channel = inputs.transpose(0, 2).flatten(1).double().numpy()
    assert (per_channel >= black[:, None] - 1e-6).all()
    assert (per_channel <= white[:, None] + 1e-6).all()


def test_dropped_images_are_zero_and_missing_and_a_sample_that_would_lose_all_keeps_them():
    dropped = np.random.default_rng(1).random((N, 4, 10)) < 0.3
    dropped[2] = True
    inputs, present = augmented(OBJECTIVES["image_dropout"], draws_with(dropped=dropped))
    dropped[2] = False
    assert torch.equal(present, PRESENT & ~torch.from_numpy(dropped))
    assert not inputs[~present].any()
    assert_close(inputs[present], untouched()[present])


def test_the_draws_have_the_strengths_as_configured():
    draws = random_draws(ObjectiveOptions(shift=0.1, brightness_jitter=0.5), n=4000)
    counts = np.bincount(draws.flips @ [1, 2], minlength=4) / 4000
    np.testing.assert_allclose(counts, 0.25, atol=0.03)
    assert set(np.unique(np.rint(draws.shifts * EDGE))) == {-2, -1, 0, 1, 2}
    assert draws.jitter.shape == (4000, N_CHANNELS)
    assert draws.jitter.std() == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.corrcoef(draws.jitter.T) - np.eye(10)).max() < 0.15
    assert not random_draws(OBJECTIVES["shift"], n=100).flips.any()


def test_images_channels_and_steps_are_dropped_as_often_as_configured():
    dropped = random_draws(ObjectiveOptions(image_dropout=0.1), n=4000).dropped
    assert dropped.all(axis=1).any(axis=1).mean() == pytest.approx(0.1, abs=0.02)
    assert dropped.all(axis=2).any(axis=1).mean() == pytest.approx(0.1, abs=0.02)
    # 1 - (1 - 0.1)(1 - 0.1 / 10)(1 - 0.1 / 4)
    assert dropped.mean() == pytest.approx(0.131, abs=0.01)


def test_a_strength_changes_its_own_draws_alone():
    before = random_draws(ObjectiveOptions(shift=0.1, brightness_jitter=0.5))
    after = random_draws(ObjectiveOptions(shift=0.1, image_dropout=0.3))
    np.testing.assert_array_equal(before.flips, after.flips)
    np.testing.assert_array_equal(before.shifts, after.shifts)
    assert not after.jitter.any()
    assert not before.dropped.any()


@every_objective
def test_missing_images_stay_zero_and_the_generator_alone_decides(objective):
    inputs, present = augmented(objective, random_draws(objective))
    assert not (present & ~PRESENT).any()
    assert not inputs[~present].any()
    assert present.flatten(1).any(dim=1).all()
    assert torch.equal(inputs, augmented(objective, random_draws(objective))[0])
    assert not torch.equal(inputs, augmented(objective, random_draws(objective, seed=4))[0])


def test_the_result_does_not_depend_on_how_a_batch_is_divided_among_processes():
    draws = random_draws(EVERY)
    whole, mask = augmented(EVERY, draws)
    for part in (slice(0, 2), slice(2, 3), slice(3, N)):
        assert len(draws[part]) == part.stop - part.start
        for field in fields(Draws):
            drawn = getattr(draws, field.name)
            np.testing.assert_array_equal(getattr(draws[part], field.name), drawn[part])
        inputs, present = augmented(EVERY, draws[part], part)
        assert torch.equal(inputs, whole[part])
        assert torch.equal(present, mask[part])


def test_half_precision_stays_half_precision():
    inputs, _ = build_augmentation(EVERY, NORMALISE)(
        untouched().bfloat16(), PRESENT.clone(), random_draws(EVERY)
    )
    assert inputs.dtype == torch.bfloat16
    expected = augmented(EVERY, random_draws(EVERY))[0]
    torch.testing.assert_close(inputs.float(), expected, rtol=0.02, atol=0.1)
