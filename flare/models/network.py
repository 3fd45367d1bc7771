"""What every architecture is, beside a module of PyTorch."""

from collections.abc import Sequence

from torch import Tensor, nn

from flare.models.heads import Heads


class Network(nn.Module):
    """A module that forecasts log10 flux and event logits; it ends in ``Heads``.

    An architecture is made from ``width``, the number of feature maps of its first block, and
    ``HeadOptions``.

    ``forward(cubes, present, features)`` takes float (N, T, C, H, W), normalised per channel and
    zero where an image is missing, bool (N, T, C), and where its options have any the standardised
    features (N, D); it returns log10 of the peak flux in W m^-2, (N, Q) with Q quantiles in rising
    order (the middle column is the forecast), and event logits (N, E). With Q = 0 the flux is that
    of the events' distribution, ``flare.flux_curve``.
    """

    heads: Heads

    def start_at(self, log10_flux: float, probabilities: Sequence[float]) -> None:
        """Let the heads begin at a climatology, not at probabilities of a half.

        Otherwise the first thing that is learnt is that events are rare, and it is learnt by
        turning down whatever large features multiply: the brighter a region, the rarer its flares.

        Parameters
        ----------
        log10_flux
            Typical log10 of the peak flux in W m^-2.
        probabilities
            Of each event, 0 < p < 1.
        """
        self.heads.start_at(log10_flux, probabilities)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see the class."""
        raise NotImplementedError


def middle(flux: Tensor) -> Tensor:
    """Return the forecast itself, (N,), of quantiles (N, Q)."""
    return flux[:, flux.shape[1] // 2]
