import numpy as np
import torch

from flare.models.normalisation import ChannelNormalisation, Normaliser

RNG = np.random.default_rng(0)
CUBES = torch.from_numpy(RNG.integers(0, 256, (6, 4, 10, 8, 8), dtype=np.uint8))
PRESENT = torch.from_numpy(RNG.random((6, 4, 10)) < 0.7)
NORMALISATION = ChannelNormalisation(tuple(range(40, 140, 10)), tuple(range(3, 33, 3)))


def by_definition(cubes=CUBES, present=PRESENT) -> torch.Tensor:
    mean, std = (
        torch.tensor(some, dtype=torch.float64)[:, None, None]
        for some in (NORMALISATION.mean, NORMALISATION.std)
    )
    return ((cubes.double() - mean) / std * present[..., None, None]).float()


def test_it_is_the_distance_from_the_mean_in_deviations():
    torch.testing.assert_close(NORMALISATION(CUBES, PRESENT), by_definition())


def test_a_reused_buffer_is_written_and_returned():
    out = torch.full(CUBES.shape, torch.nan)
    assert NORMALISATION(CUBES, PRESENT, out=out) is out
    torch.testing.assert_close(out, by_definition())


def test_a_normaliser_gives_the_same_from_one_memory_for_batches_of_any_size():
    normaliser = Normaliser(NORMALISATION)
    memory = set()
    for n in (6, 2, 5, 6):
        result = normaliser(CUBES[:n], PRESENT[:n])
        torch.testing.assert_close(result, by_definition()[:n])
        memory.add(result.data_ptr())
    assert len(memory) == 1


def test_a_normaliser_that_began_without_gradients_may_be_used_with_them():
    normaliser = Normaliser(NORMALISATION)
    with torch.inference_mode():
        normaliser(CUBES, PRESENT)
    weight = torch.ones((), requires_grad=True)
    (normaliser(CUBES, PRESENT) * weight).sum().backward()
    torch.testing.assert_close(weight.grad, by_definition().sum(), rtol=1e-4, atol=1e-2)
