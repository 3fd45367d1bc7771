"""The head that gives one distribution of the peak flux: how often flares of each size arrive.

Of a sample x, flares of at least event k arrive at the rate lambda_k in the forecast window:

    log lambda_k(x) = a(x) - s(x) d_k,   P(event k) = 1 - exp(-lambda_k),

with depths d_k that rise with the event, 0 for the second one (C1.0), and s(x) > 0. All events, the
flux and its interval come from that one curve (``flare.flux_curve``), so they never contradict one
another, and samples with C flares teach what M flares look like.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

#: How far log s goes from 0, and log lambda: there probabilities are 0 or 1 in float32.
_STEEPNESS, _LOG_RATES = 2.0, (-20.0, 4.0)
_SMALL_RATE = 0.2  # below it the series is exact to 1e-6
_LEAST_DEPTH = 1e-3


class RateCurve(nn.Module):
    """From numbers of a sample (N, D) to log lambda of each event, (N, E), which never rises."""

    def __init__(self, inputs: int, n_events: int) -> None:
        super().__init__()
        self.location = small_linear(inputs, 1)
        self.steepness = small_linear(inputs, 1)
        self.increments = nn.Parameter(torch.ones(max(n_events - 1, 0)))
        self.reference = min(1, n_events - 1)

    @torch.no_grad()
    def start_at(self, probabilities: Sequence[float]) -> None:
        """Begin at these probabilities of the events, not rising, 0 < p < 1, for all samples."""
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
    """Return log lambda of log odds: the inverse of ``logits_of``."""
    return functional.softplus(logits).clamp(min=1e-30).log()
