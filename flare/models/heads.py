"""The heads of every network: a shared layer, then a distribution, or a flux and event logits.

A distribution says how often flares of each size arrive. Of a sample x, flares of at least event k
arrive at the rate lambda_k in the forecast window:

    log lambda_k(x) = a(x) - s(x) d_k,   P(event k) = 1 - exp(-lambda_k),

with depths d_k that rise with the event, 0 for the second one (C1.0), and s(x) > 0. All events, the
flux and its interval come from that one curve (``flare.flux_curve``), so they never contradict one
another, and samples with C flares also teach the network about M flares.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Offset of the flux head, in log10 W m^-2: an untrained network forecasts about B1, not X10000.
TYPICAL_LOG10_FLUX = -7.0

#: Initial distance of the outer of three quantiles from the middle one, in dex.
_INITIAL_DISTANCE = 1.0

#: Bounds of log s (plus or minus) and of log lambda: beyond, probabilities are 0 or 1 in float32.
_STEEPNESS, _LOG_RATES = 2.0, (-20.0, 4.0)
_SMALL_RATE = 0.2  # below it the series is accurate to 1e-6
_LEAST_DEPTH = 1e-3


class Heads(nn.Module):
    """A shared layer of normalised inputs with dropout, and the forecasts.

    The forecasts are a distribution of the peak flux (``RateCurve``), or a linear head each for
    flux and events. With three quantiles the flux head gives the middle one and the distances of
    the others below and above it, so that they cannot cross.

    With features, the distribution is the mean of two in log lambda: one from the shared layer,
    and one that is linear in the features (``linear``), fitted before the training and then
    constant. Training uses the first alone: otherwise it would only learn the errors of the other
    on the samples that it was fitted to.

    ``inputs`` is the size of the encoder's output; for the others see ``NetworkConfig``.
    """

    def __init__(
        self,
        inputs: int,
        *,
        hidden: int,
        dropout: float,
        n_events: int,
        n_quantiles: int,
        n_features: int = 0,
    ) -> None:
        super().__init__()
        if n_quantiles not in (0, 1, 3):
            raise ValueError(f"{n_quantiles} quantiles of the flux; must be 0, 1 or 3")
        self.n_features = n_features
        # With a ReLU and no LayerNorm every unit dies on a mostly quiet set: the constant gradient
        # of an L1 loss drives all of them below 0 within two epochs.
        self.normalisation = nn.LayerNorm(inputs)
        self.shared = nn.Sequential(
            nn.Linear(inputs + n_features, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.feature_dropout = nn.Dropout(dropout)
        self.curve: RateCurve | None = None
        self.linear: RateCurve | None = None
        self.flux_head: nn.Linear | None = None
        self.event_head: nn.Linear | None = None
        if n_quantiles == 0:
            self.curve = RateCurve(hidden, n_events)
            if n_features:
                self.linear = RateCurve(n_features, n_events)
                self.linear.requires_grad_(False)
        else:
            self.flux_head = small_linear(hidden, n_quantiles)
            self.event_head = small_linear(hidden, n_events)

    @torch.no_grad()
    def start_at(self, log10_flux: float, probabilities: Sequence[float]) -> None:
        """Set the biases to a climatology instead of probabilities of 1/2.

        Otherwise a network first learns that events are rare, by turning down whatever large
        features multiply: the brighter a region, the rarer its flares.

        ``log10_flux`` is in W m^-2; ``probabilities`` are one for each event, 0 < p < 1.
        """
        if self.curve is not None:
            for curve in filter(None, (self.curve, self.linear)):
                curve.start_at(probabilities)
            return
        assert self.flux_head is not None
        assert self.event_head is not None
        # softplus(0.54) = 1: the outer quantiles start 1 dex from the middle one.
        distance = torch.log(torch.expm1(torch.tensor(_INITIAL_DISTANCE)))
        self.flux_head.bias.fill_(float(distance))
        self.flux_head.bias[0] = log10_flux - TYPICAL_LOG10_FLUX
        self.event_head.bias.copy_(torch.logit(torch.tensor(probabilities)))

    def forward(self, encoded: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return log10 flux (N, Q) with the quantiles rising, and event logits (N, E)."""
        inputs = self.normalisation(encoded)
        if self.n_features:
            assert features is not None
            inputs = torch.cat([inputs, self.feature_dropout(features.to(inputs.dtype))], dim=1)
        shared = self.shared(inputs)  # (N, hidden)
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
            distance = functional.softplus(flux[:, 1:])
            middle = torch.cat([middle - distance[:, :1], middle, middle + distance[:, 1:]], dim=1)
        return middle, self.event_head(shared)


class RateCurve(nn.Module):
    """From numbers of a sample (N, D) to log lambda (N, E), not rising from event to event."""

    def __init__(self, inputs: int, n_events: int) -> None:
        super().__init__()
        self.location = small_linear(inputs, 1)
        self.steepness = small_linear(inputs, 1)
        self.increments = nn.Parameter(torch.ones(max(n_events - 1, 0)))
        self.reference = min(1, n_events - 1)

    @torch.no_grad()
    def start_at(self, probabilities: Sequence[float]) -> None:
        """Set the biases to these probabilities of the events, not rising, 0 < p < 1."""
        log_rate = torch.log(-torch.log1p(-torch.tensor(probabilities, dtype=torch.float64)))
        falls = (log_rate[:-1] - log_rate[1:]).clamp(min=_LEAST_DEPTH)
        self.location.bias.fill_(float(log_rate[self.reference]))
        self.increments.copy_(torch.log(torch.expm1(falls)))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return log lambda; see the class."""
        depths = functional.softplus(self.increments).cumsum(0)
        depths = functional.pad(depths, (1, 0))
        depths = depths - depths[self.reference]  # (E,)
        steepness = self.steepness(numbers).clamp(-_STEEPNESS, _STEEPNESS).exp()  # (N, 1)
        log_rates: Tensor = self.location(numbers) - steepness * depths
        return log_rates.clamp(*_LOG_RATES)


def small_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer with a tenth of the usual weights and no bias.

    A network that ends in it starts near the constant forecast that its biases are set to.
    """
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.zero_()
    return layer


def logits_of(log_rate: Tensor) -> Tensor:
    """Return the log odds of 1 - exp(-lambda), log(exp(lambda) - 1), of log lambda."""
    rate = log_rate.exp()
    series = log_rate + rate / 2 + rate.square() / 24
    large = rate.clamp(min=_SMALL_RATE)
    exact = large + torch.log(1 - torch.exp(-large))
    return torch.where(rate < _SMALL_RATE, series, exact)


def log_rates_of(logits: Tensor) -> Tensor:
    """Return log lambda from log odds: the inverse of ``logits_of``."""
    return functional.softplus(logits).clamp(min=1e-30).log()
