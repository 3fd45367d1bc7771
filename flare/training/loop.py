"""The training loop: all of it, in one place, and one record an epoch for whoever drives it.

Nothing is logged and nothing is stopped in here. The workflow logs each record, the search reports
it to Optuna, and stopping early is a ``break`` in the loop that takes the records.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from flare.errors import TrainingDiverged
from flare.seeding import Stream, integer_seed, stream
from flare.training.augment import Augmentation
from flare.training.averaging import AveragedWeights
from flare.training.batches import Batch, Batches, part_of
from flare.training.checkpoint import State
from flare.training.health import gradient_norms, heads_of
from flare.training.losses import Loss
from flare.training.parts import TrainingModules
from flare.training.reader import Rows
from flare.training.records import EpochRecord, TrainingState
from flare.training.schedule import first_settled, warm_cosine
from flare.training.settings import FitSettings
from flare.training.synchronised import synchronised_norms
from flare.training.validating import ValidationScores, any_process, summed, validate

Normalise = Callable[[Tensor, Tensor], Tensor]
Progress = Callable[[Iterable[Batch], int, int], Iterable[Batch]]


@dataclass(frozen=True)
class _Task:
    """What a training is given and never changes."""

    normalise: Normalise
    train: Batches
    validation: Batches | None
    settings: FitSettings
    loss: Loss
    fabric: Fabric
    augment: Augmentation | None
    stop: Callable[[], bool]
    progress: Progress


def fit(
    network: nn.Module,
    normalise: Normalise,
    *,
    train: Batches,
    validation: Batches | None,
    settings: FitSettings,
    loss: Loss,
    fabric: Fabric,
    augment: Augmentation | None = None,
    standing: TrainingState | None = None,
    resume_from: State | None = None,
    save: Callable[[State], None] = lambda _state: None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda batches, _epoch, _total: batches,
) -> Generator[EpochRecord]:
    """Train a network in place, and yield a record after every epoch.

    The learning rate rises to ``settings.learning_rate`` over the first ``warmup`` of all steps,
    and falls from there along half a cosine. When a record is yielded the network holds the weights
    of that epoch, with ``settings.ema`` the averaged ones; those to keep are in
    ``standing``. All randomness is that of ``train.seed``, epoch, step and process, so a training
    that goes on from a state is the one that was never interrupted.

    Parameters
    ----------
    normalise
        uint8 cubes and mask to network input, which is used until the next call only.
    validation
        What each epoch is scored on; None for a training that nothing is chosen by.
    augment
        Changes the training images, after normalisation.
    standing
        Is kept up to date; for ``resume_from`` the one of that state.
    resume_from
        A state that ``save`` was given, of the same training.
    save
        Is given the state after every epoch, after every ``settings.checkpoint_steps`` steps if
        those are not 0, and before an interruption; in the first process only.
    stop
        Whether to end with KeyboardInterrupt; asked after every step and validation batch.
    progress
        Wraps the batches of an epoch, given its number and how many batches are left of it.

    Raises
    ------
    TrainingDiverged
        The loss of a batch is NaN or infinite; names epoch, batch and samples. Or the validation
        loss is.
    """
    standing = TrainingState() if standing is None else standing
    task = _Task(
        normalise,
        train.where_it_pays(fabric.device),
        validation.where_it_pays(fabric.device) if validation is not None else None,
        settings, loss, fabric, augment, stop, progress,
    )  # fmt: skip
    with synchronised_norms(network, fabric.world_size):
        parts = _set_up(network, task)
        if resume_from is not None:
            parts.restore(resume_from)
            if standing.epoch >= settings.epochs:
                parts.swap_average()  # nothing is left to do, and these are the weights to hold

        def keep() -> None:
            if fabric.is_global_zero:
                save(parts.state(standing))

        while standing.epoch < settings.epochs:
            _train_epoch(parts, task, standing, keep)
            parts.swap_average()
            scores = _validated(parts, task, standing, keep)
            record = _record(standing, scores, settings)
            standing.next_epoch(record)
            if record.best or task.validation is None:
                standing.kept_weights = _copied(network)
            parts.swap_average()
            keep()
            parts.swap_average()
            yield record
            if standing.epoch < settings.epochs:
                parts.swap_average()


def _set_up(network: nn.Module, task: _Task) -> TrainingModules:
    settings = task.settings
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    model, wrapped = task.fabric.setup(network, optimizer)
    batches = len(task.train.plan(0, processes=task.fabric.world_size))
    steps = settings.epochs * -(-batches // settings.accumulate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_cosine(steps, settings.warmup))
    average = AveragedWeights(network, settings.ema) if settings.ema > 0 else None
    return TrainingModules(network, model, wrapped, schedule, average, task.fabric)


def _train_epoch(
    parts: TrainingModules, task: _Task, standing: TrainingState, keep: Callable[[], None]
) -> None:
    """Take the steps of an epoch that are not done yet; each is of ``accumulate`` batches."""
    fabric, train = task.fabric, task.train
    plan = train.plan(standing.epoch, processes=fabric.world_size)
    each = task.settings.accumulate
    if standing.step == 0:
        standing.learning_rate = float(parts.schedule.get_last_lr()[0])
    mine = [
        rows[part_of(rows, fabric.global_rank, fabric.world_size)]
        for rows in plan[standing.step * each :]
    ]
    parts.model.train()
    pinned = fabric.device.type == "cuda"
    with closing(train.read(mine, pinned=pinned)) as reading:
        batches = iter(task.progress(reading, standing.epoch, len(mine)))
        for first in range(standing.step * each, len(plan), each):
            started = time.perf_counter()
            waited = _step(parts, task, standing, plan[first : first + each], batches, first=first)
            standing.waited += waited
            standing.seconds += time.perf_counter() - started
            every = task.settings.checkpoint_steps
            stopped = any_process(task.stop(), fabric)
            if stopped or (every and parts.schedule.last_epoch % every == 0):
                keep()
            if stopped:
                raise KeyboardInterrupt


def _step(
    parts: TrainingModules,
    task: _Task,
    standing: TrainingState,
    groups: list[Rows],
    batches: Iterator[Batch],
    *,
    first: int,
) -> float:
    """Take one step over some batches of all processes; return the seconds waited for images."""
    fabric = task.fabric
    total, waited, losses = sum(len(rows) for rows in groups), 0.0, []
    seeds = standing.epoch, standing.step, fabric.global_rank
    torch.manual_seed(integer_seed(task.train.seed, Stream.DROPOUT, *seeds))
    parts.optimizer.zero_grad(set_to_none=True)
    for place, rows in enumerate(groups):
        started = time.perf_counter()
        host = next(batches)
        waited += time.perf_counter() - started
        with _alone(parts, fabric, enabled=place + 1 < len(groups)):
            batch_loss = _forward(parts, task, host, rows, counters=(standing.epoch, first + place))
            # Processes are averaged: this makes it the mean over the samples of all of them.
            fabric.backward(batch_loss * (len(host.rows) * fabric.world_size / total))
        losses.append(batch_loss.detach().float() * len(host.rows))
    norm = _clip(parts, task)
    heads = heads_of(parts.network)
    norms = _unclipped(gradient_norms(heads, norm.device), norm, task)
    sums = summed(torch.stack(losses), fabric)
    together = torch.cat([sums, norm.float().view(1), norms]).tolist()
    values, length = together[: len(losses)], together[len(losses)]
    _check(values, groups, task, standing.epoch, first)
    parts.optimizer.step()
    parts.schedule.step()
    if parts.average is not None:
        parts.average.update()
    standing.step += 1
    standing.loss_sum += sum(values)
    standing.seen += total
    standing.norm_sum += length
    for name, value in zip(heads, together[len(losses) + 1 :], strict=True):
        standing.head_norm_sums[name] = standing.head_norm_sums.get(name, 0.0) + value
    return waited


def _forward(
    parts: TrainingModules, task: _Task, host: Batch, rows: Rows, *, counters: tuple[int, int]
) -> Tensor:
    """Return the mean loss over this process' part of a batch."""
    fabric = task.fabric
    batch = host.to(fabric.to_device)
    inputs, present = task.normalise(batch.cubes, batch.present), batch.present
    if task.augment is not None:
        draws = task.augment.draw(stream(task.train.seed, Stream.AUGMENT, *counters), len(rows))
        mine = draws[part_of(rows, fabric.global_rank, fabric.world_size)]
        inputs, present = task.augment(inputs, present, mine)
    log10_flux, logits = parts.model(inputs, present, *batch.extra)
    return task.loss(log10_flux, logits, batch)


def _clip(parts: TrainingModules, task: _Task) -> Tensor:
    """Shorten the gradient to ``clip``, if that is not 0; return its length before."""
    limit = task.settings.clip if task.settings.clip > 0 else float("inf")
    norm = task.fabric.clip_gradients(
        parts.model, parts.optimizer, max_norm=limit, error_if_nonfinite=False
    )
    assert norm is not None
    return norm


def _unclipped(norms: Tensor, whole: Tensor, task: _Task) -> Tensor:
    """Return the lengths that parts of a gradient had before it was cut as a whole."""
    limit = task.settings.clip
    return norms * (whole / limit).clamp(min=1) if limit > 0 else norms


def _check(values: list[float], groups: list[Rows], task: _Task, epoch: int, first: int) -> None:
    for place, (value, rows) in enumerate(zip(values, groups, strict=True)):
        if not np.isfinite(value):
            total = len(task.train.plan(epoch, processes=task.fabric.world_size))
            raise TrainingDiverged(
                f"the loss became {value} in epoch {epoch + 1}, batch {first + place + 1} of "
                f"{total} ({task.train.named(rows)}); try a lower learning rate than "
                f"{task.settings.learning_rate}"
            )


def _validated(
    parts: TrainingModules, task: _Task, standing: TrainingState, keep: Callable[[], None]
) -> ValidationScores:
    if task.validation is None:
        return ValidationScores()
    scores = validate(
        parts.network,
        parts.model,
        task.normalise,
        task.validation,
        task.loss,
        task.fabric,
        stop=task.stop,
    )
    if scores is None:
        parts.swap_average()
        keep()
        raise KeyboardInterrupt
    if not np.isfinite(scores.loss):
        raise TrainingDiverged(
            f"the validation loss became {scores.loss} in epoch {standing.epoch + 1}; "
            f"try a lower learning rate than {task.settings.learning_rate}"
        )
    return scores


def _record(
    standing: TrainingState, scores: ValidationScores, settings: FitSettings
) -> EpochRecord:
    seconds, steps = max(standing.seconds, 1e-9), max(standing.step, 1)
    anew = standing.epoch == first_settled(settings.epochs)
    lowest = float("inf") if anew else standing.lowest
    return EpochRecord(
        epoch=standing.epoch,
        train_loss=standing.loss_sum / max(standing.seen, 1),
        validation_loss=scores.loss,
        log10_flux_mae=scores.log10_flux_mae,
        brier_skill_score=scores.brier_skill_score,
        roc_area=scores.roc_area,
        learning_rate=standing.learning_rate,
        samples_per_second=standing.seen / seconds,
        seconds=seconds,
        best=scores.cross_entropy < lowest,
        gradient_norm=standing.norm_sum / steps,
        waiting=standing.waited / seconds,
        cross_entropy=scores.cross_entropy,
        active_units=scores.active_units,
        log10_flux_std=scores.log10_flux_std,
        probability_std=scores.probability_std,
        head_gradient_norms={name: s / steps for name, s in standing.head_norm_sums.items()},
    )


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """Copy the weights to where they are kept, whatever the network's device."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _alone(
    parts: TrainingModules, fabric: Fabric, *, enabled: bool
) -> AbstractContextManager[None]:
    """Let gradients add up in this process, where others will want them later."""
    if fabric.world_size == 1:
        return nullcontext()
    return fabric.no_backward_sync(parts.model, enabled=enabled)
