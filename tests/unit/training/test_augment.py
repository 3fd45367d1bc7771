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
AIMS = {
    "mirror": ObjectiveOptions(),
    "shift": ObjectiveOptions(mirror=False, shift=0.1),
    "brightness_jitter": ObjectiveOptions(mirror=False, brightness_jitter=0.5),
    "image_dropout": ObjectiveOptions(mirror=False, image_dropout=0.3),
    "all": ObjectiveOptions(shift=0.1, brightness_jitter=0.5, image_dropout=0.3),
}


def nothing(n: int = N) -> Draws:
    return Draws(
        np.zeros((n, 2), dtype=bool),
        np.zeros((n, 2)),
        np.zeros((n, 10)),
        np.zeros((n, 4, 10), dtype=bool),
    )


def done(objective, draws, grey=GREY, present=PRESENT):
    """Return what becomes of grey levels, and the mask."""
    inputs = NORMALISE(torch.from_numpy(grey.copy()), present)
    return build_augmentation(objective, NORMALISE)(inputs, present.clone(), draws)


def random_draws(objective, seed=0, n=N) -> Draws:
    return build_augmentation(objective, NORMALISE).draw(np.random.default_rng(seed), n)


def untouched(grey=GREY):
    return NORMALISE(torch.from_numpy(grey.copy()), PRESENT)


def close(result, expected):
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_where_every_strength_is_0_there_is_no_augmentation():
    assert build_augmentation(ObjectiveOptions(mirror=False), NORMALISE) is None


@pytest.mark.parametrize("objective", AIMS.values(), ids=AIMS)
def test_draws_of_nothing_leave_samples_as_they_are(objective):
    inputs, present = done(objective, nothing())
    close(inputs, untouched())
    assert torch.equal(present, PRESENT)


@pytest.mark.parametrize("east_west", [False, True])
@pytest.mark.parametrize("north_south", [False, True])
def test_a_mirror_is_that_of_the_grey_levels_with_the_polarities_swapped(east_west, north_south):
    grey = GREY[..., ::-1] if east_west else GREY
    if north_south:
        grey = grey[..., ::-1, :]
    grey = grey.copy()
    if east_west != north_south:
        grey[:, :, MAGNETOGRAM] = 255 - grey[:, :, MAGNETOGRAM]
    inputs, _ = done(
        ObjectiveOptions(), replace(nothing(), flips=np.tile([east_west, north_south], (N, 1)))
    )
    close(inputs, untouched(grey))


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
    regions = [make_region("training", index, seed=0) for index in range(12)]
    fields = [Surroundings(one, 0).field(one.windows[0], 0.0).gauss for one in regions]
    cubes = torch.zeros((12, 4, 10, 256, 256))
    cubes[:, 3, MAGNETOGRAM] = torch.from_numpy(np.stack(fields))
    north = np.array([one.latitude > 0 for one in regions])
    conform = leads_negative(cubes) == north  # cycle 24
    assert conform.mean() > 0.8
    mirror = build_augmentation(
        ObjectiveOptions(), ChannelNormalisation((127.5,) * 10, (1.0,) * 10)
    )
    present = torch.ones((12, 4, 10), dtype=torch.bool)
    for east_west, north_south in product((False, True), repeat=2):
        draws = replace(nothing(12), flips=np.tile([east_west, north_south], (12, 1)))
        mirrored, _ = mirror(cubes.clone(), present, draws)
        np.testing.assert_array_equal(leads_negative(mirrored) == (north ^ north_south), conform)


def test_a_mirror_of_a_mirror_is_the_sample():
    flips = replace(nothing(), flips=np.tile([True, True], (N, 1)))
    once, present = done(ObjectiveOptions(), flips)
    assert not torch.allclose(once, untouched())
    close(build_augmentation(ObjectiveOptions(), NORMALISE)(once, present, flips)[0], untouched())


def test_each_sample_has_its_own_mirror():
    flips = np.array([[False, False], [True, False], [False, True], [True, True]] * 2)[:N]
    inputs, _ = done(ObjectiveOptions(), replace(nothing(), flips=flips))
    for k in range(N):
        alone, _ = done(
            ObjectiveOptions(),
            replace(nothing(1), flips=flips[k : k + 1]),
            GREY[k : k + 1],
            PRESENT[k : k + 1],
        )
        assert torch.equal(inputs[k : k + 1], alone)


@pytest.mark.parametrize(("down", "right"), [(2, -1), (-2, 0), (0, 2)])
def test_a_shift_moves_whole_pixels_and_repeats_the_edge(down, right):
    moved = np.pad(GREY, [(0, 0)] * 3 + [(2, 2)] * 2, mode="edge")
    moved = moved[..., 2 - down : 2 - down + EDGE, 2 - right : 2 - right + EDGE]
    shifts = np.tile([down / EDGE, right / EDGE], (N, 1))
    inputs, _ = done(AIMS["shift"], replace(nothing(), shifts=shifts))
    close(inputs, untouched(np.ascontiguousarray(moved)))


def test_shifts_reach_the_share_of_the_edge_and_not_further():
    shifts = np.rint(random_draws(AIMS["shift"], n=2000).shifts * EDGE)
    assert set(np.unique(shifts)) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_brightness_jitter_is_a_factor_on_the_physical_brightness_and_leaves_hmi_alone(channel):
    k = CHANNELS.index(channel)
    jitter = np.full((N, 10), np.log(0.8))
    inputs, _ = done(AIMS["brightness_jitter"], replace(nothing(), jitter=jitter))
    faded = GREY[:, :, k].astype(np.float64)
    if channel not in ("continuum", "magnetogram"):
        faded = grey_levels(0.8 * physical_values(GREY[:, :, k], channel), channel)
    faded = torch.from_numpy((np.clip(faded, 0, 255) - NORMALISE.mean[k]) / NORMALISE.std[k])
    expected = torch.where(PRESENT[:, :, k, None, None], faded, 0.0).float()
    torch.testing.assert_close(inputs[:, :, k], expected, rtol=0, atol=1e-4)


def test_no_brightness_jitter_leaves_the_grey_levels():
    black = (0 - np.array(NORMALISE.mean)) / NORMALISE.std
    white = (255 - np.array(NORMALISE.mean)) / NORMALISE.std
    jitter = np.tile([[9.0], [-9.0]], (N // 2, 10))
    inputs, _ = done(AIMS["brightness_jitter"], replace(nothing(), jitter=jitter))
    per_channel = inputs.transpose(0, 2).flatten(1).double().numpy()
    assert (per_channel >= black[:, None] - 1e-6).all()
    assert (per_channel <= white[:, None] + 1e-6).all()


def test_the_brightness_jitter_is_log_normal_with_the_strength_as_its_deviation():
    jitter = random_draws(AIMS["brightness_jitter"], n=2000).jitter
    assert jitter.shape == (2000, N_CHANNELS)
    assert jitter.std() == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.corrcoef(jitter.T) - np.eye(10)).max() < 0.15


def test_dropped_images_are_zero_and_no_longer_there():
    dropped = np.random.default_rng(1).random((N, 4, 10)) < 0.3
    inputs, present = done(AIMS["image_dropout"], replace(nothing(), dropped=dropped))
    assert torch.equal(present, PRESENT & ~torch.from_numpy(dropped))
    assert not inputs[~present].any()
    close(inputs[present], untouched()[present])


def test_a_sample_that_would_lose_all_its_images_keeps_them():
    dropped = np.zeros((N, 4, 10), dtype=bool)
    dropped[2] = True
    inputs, present = done(AIMS["image_dropout"], replace(nothing(), dropped=dropped))
    assert torch.equal(present, PRESENT)
    close(inputs, untouched())


def test_images_channels_and_steps_are_dropped_as_often_as_configured():
    dropped = random_draws(ObjectiveOptions(image_dropout=0.1), n=4000).dropped
    whole_channels = dropped.all(axis=1).any(axis=1).mean()
    whole_steps = dropped.all(axis=2).any(axis=1).mean()
    assert whole_channels == pytest.approx(0.1, abs=0.02)
    assert whole_steps == pytest.approx(0.1, abs=0.02)
    # 1 - (1 - 0.1)(1 - 0.1 / 10)(1 - 0.1 / 4)
    assert dropped.mean() == pytest.approx(0.131, abs=0.01)


@pytest.mark.parametrize("objective", AIMS.values(), ids=AIMS)
def test_missing_images_stay_zero_and_never_come_back(objective):
    inputs, present = done(objective, random_draws(objective))
    assert not (present & ~PRESENT).any()
    assert not inputs[~present].any()
    assert present.flatten(1).any(dim=1).all()


@pytest.mark.parametrize("objective", AIMS.values(), ids=AIMS)
def test_the_generator_alone_decides(objective):
    one, again, other = (
        random_draws(objective, 3),
        random_draws(objective, 3),
        random_draws(objective, 4),
    )
    assert torch.equal(done(objective, one)[0], done(objective, again)[0])
    assert not torch.equal(done(objective, one)[0], done(objective, other)[0])


def test_the_result_does_not_depend_on_how_a_step_is_parted_among_processes():
    objective = AIMS["all"]
    draws = random_draws(objective)
    whole, there = done(objective, draws)
    for part in (slice(0, 2), slice(2, 3), slice(3, N)):
        inputs, present = done(objective, draws[part], GREY[part], PRESENT[part])
        assert torch.equal(inputs, whole[part])
        assert torch.equal(present, there[part])


def test_a_strength_changes_its_own_draws_alone():
    before, after = (
        random_draws(ObjectiveOptions(shift=0.1, brightness_jitter=0.5)),
        random_draws(ObjectiveOptions(shift=0.1, image_dropout=0.3)),
    )
    np.testing.assert_array_equal(before.flips, after.flips)
    np.testing.assert_array_equal(before.shifts, after.shifts)
    assert not after.jitter.any()
    assert not before.dropped.any()


def test_half_of_the_samples_are_mirrored_each_way_and_independently():
    flips = random_draws(ObjectiveOptions(), n=4000).flips
    counts = np.bincount(flips @ [1, 2], minlength=4) / 4000
    np.testing.assert_allclose(counts, 0.25, atol=0.03)
    assert not random_draws(AIMS["shift"], n=100).flips.any()


def test_a_slice_of_draws_is_of_the_same_samples():
    draws = random_draws(AIMS["all"])
    some = draws[1:4]
    assert (len(draws), len(some)) == (N, 3)
    for part in fields(Draws):
        np.testing.assert_array_equal(getattr(some, part.name), getattr(draws, part.name)[1:4])


def test_half_precision_stays_half_precision():
    objective = AIMS["all"]
    inputs, _ = build_augmentation(objective, NORMALISE)(
        untouched().bfloat16(), PRESENT.clone(), random_draws(objective)
    )
    assert inputs.dtype == torch.bfloat16
    torch.testing.assert_close(
        inputs.float(), done(objective, random_draws(objective))[0], rtol=0.02, atol=0.1
    )
