"""What every architecture is, beside a module of PyTorch."""

from collections.abc import Sequence

from torch import nn


class Network(nn.Module):
    """A module that forecasts log10 flux and event logits, and can begin at a climatology."""

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
        raise NotImplementedError
