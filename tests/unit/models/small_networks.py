"""Small networks of every architecture, and images for them."""

import torch

from flare.models import Network, NetworkConfig, build


def network(architecture: str = "cnn", *, seed: int = 0, **options: object) -> Network:
    """Return a network of width 2 with 8 hidden units, or what the options say, to be scored."""
    config = NetworkConfig(architecture, **{"width": 2, "hidden": 8, **options})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = build(config).eval()
    with torch.no_grad():  # heads start small, and differences would be lost in rounding
        for head in (made.heads.flux_head, made.heads.event_head):
            if head is not None:
                head.weight.mul_(10)
    return made


def inputs(n: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n normalised samples, and that every image is there."""
    generator = torch.Generator().manual_seed(1)
    cubes = torch.randn(n, 4, 10, size, size, generator=generator)
    return cubes, torch.ones(n, 4, 10, dtype=torch.bool)


def without(cubes: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cubes that are zero where the mask has nothing, as the normalisation gives them."""
    return cubes.masked_fill(~present[..., None, None], 0.0), present
