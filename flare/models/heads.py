"""What ends every network: one shared layer, then log10 flux and event logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flare.models.distribution import RateCurve, logits_of, small_linear

#: What the flux head adds to, in log10 W m^-2: an untrained network forecasts about B1, not X10000.
TYPICAL_LOG10_FLUX = -7.0

#: How far the outer of three quantiles begin from the middle one, in dex.
_FIRST_REACH = 1.0


@dataclass(frozen=True)
class HeadOptions:
    """What a network ends in, and what it is given besides the images.

    ``hidden`` is the size of the shared layer and ``dropout`` the share of it dropped in training;
    of the flux there are one or three quantiles, or none: then it comes from the events alone
    (``RateCurve``). ``n_features`` numbers of each sample join what the network sees.
    """

    hidden: int
    dropout: float
    n_events: int
    n_quantiles: int
    n_features: int = 0


class Heads(nn.Module):
    """A shared layer of normalised inputs with dropout, and the forecasts.

    Those are a distribution of the peak flux, or a linear head each for flux and events. With three
    quantiles the flux head gives the middle one and how far below and above it the others lie, so
    that they cannot cross.

    Where there are features, a distribution is the mean of two, in log lambda: one from the shared
    layer, and one that is linear in the features (``linear``), fitted beforehand and left as it is.
    In training there is only the first, or it would learn nothing but what the other one gets
    wrong on samples that it was fitted to.
    """

    def __init__(self, seen: int, options: HeadOptions) -> None:
        super().__init__()
        if options.n_quantiles not in (0, 1, 3):
            raise ValueError(f"{options.n_quantiles} quantiles of the flux; must be 0, 1 or 3")
        self.n_features = options.n_features
        # Without the LayerNorm and with a ReLU every unit dies on a mostly quiet set: the constant
        # gradient of an L1 loss drives all of them below 0 within two epochs.
        self.normalisation = nn.LayerNorm(seen)
        self.shared = nn.Sequential(
            nn.Linear(seen + options.n_features, options.hidden),
            nn.GELU(),
            nn.Dropout(options.dropout),
        )
        self.feature_dropout = nn.Dropout(options.dropout)
        self.curve: RateCurve | None = None
        self.linear: RateCurve | None = None
        self.flux_head: nn.Linear | None = None
        self.event_head: nn.Linear | None = None
        if options.n_quantiles == 0:
            self.curve = RateCurve(options.hidden, options.n_events)
            if options.n_features:
                self.linear = RateCurve(options.n_features, options.n_events)
                self.linear.requires_grad_(False)
        else:
            self.flux_head = small_linear(options.hidden, options.n_quantiles)
            self.event_head = small_linear(options.hidden, options.n_events)

    @torch.no_grad()
    def start_at(self, log10_flux: float, probabilities: Sequence[float]) -> None:
        """Set the first forecasts; see ``Network``."""
        if self.curve is not None:
            self.curve.start_at(probabilities)
            if self.linear is not None:
                self.linear.start_at(probabilities)
            return
        assert self.flux_head is not None
        assert self.event_head is not None
        # softplus(0.54) = 1: the outer quantiles begin a dex away.
        reach = torch.log(torch.expm1(torch.tensor(_FIRST_REACH)))
        self.flux_head.bias.fill_(float(reach))
        self.flux_head.bias[0] = log10_flux - TYPICAL_LOG10_FLUX
        self.event_head.bias.copy_(torch.logit(torch.tensor(probabilities)))

    def forward(self, seen: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return log10 flux (N, Q) with the quantiles rising, and event logits (N, E)."""
        seen = self.normalisation(seen)
        if self.n_features:
            assert features is not None
            seen = torch.cat([seen, self.feature_dropout(features.to(seen.dtype))], dim=1)
        shared = self.shared(seen)  # (N, hidden)
        if self.curve is not None:
            rates = self.curve(shared.float())
            if self.linear is not None and features is not None and not self.training:
                rates = (rates + self.linear(features.float())) / 2
            logits = logits_of(rates)
            return logits[:, :0], logits
        assert self.flux_head is not None
        assert self.event_head is not None
        flux = self.flux_head(shared)
        middle = flux[:, :1] + TYPICAL_LOG10_FLUX
        if flux.shape[1] == 3:
            reach = nn.functional.softplus(flux[:, 1:])
            middle = torch.cat([middle - reach[:, :1], middle, middle + reach[:, 1:]], dim=1)
        return middle, self.event_head(shared)
