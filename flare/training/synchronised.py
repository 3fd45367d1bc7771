"""Batch normalisation over the batch of all processes, so that several train as one would.

PyTorch's own ``SyncBatchNorm`` does this on GPUs alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

_Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@contextmanager
def synchronised_norms(network: nn.Module, processes: int) -> Iterator[None]:
    """Let batch normalisation in a network see the samples of all processes, inside the block.

    Modules, parameters and their names stay as they are; alone, nothing changes at all.
    """
    norms = [module for module in network.modules() if isinstance(module, _Norm)]
    if processes == 1:
        norms = []
    for norm in norms:
        norm.forward = partial(_forward, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _forward(norm: _Norm, values: Tensor) -> Tensor:
    if not norm.training:
        return type(norm).forward(norm, values)
    axes = [0, *range(2, values.dim())]
    shape = [1, -1, *[1] * (values.dim() - 2)]
    wide = values.float()
    own = wide.new_tensor([values.numel() / values.shape[1]])
    totals = _all(torch.cat([wide.sum(axes), own]))
    count = totals[-1].detach()
    mean = totals[:-1] / count
    centred = wide - mean.view(shape)
    variance = _all(centred.square().sum(axes)) / count
    _remember(norm, mean.detach(), variance.detach(), float(count))
    scale = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    told = centred * scale.view(shape)
    if norm.affine:
        told = told + norm.bias.view(shape)
    return told.to(values.dtype)


def _all(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def _remember(norm: _Norm, mean: Tensor, variance: Tensor, count: float) -> None:
    """Move the running statistics as PyTorch does, the variance as an unbiased estimate."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance * (count / max(count - 1, 1)), share)
