"""The training loop, all of it in one place; it yields one record per epoch.

Nothing is logged here, and nothing stops early: the caller, who gets the records, does both.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from flare.config.network_groups import OptimizerOptions
from flare.errors import TrainingDiverged
from flare.seeding import Stream, integer_seed, stream
from flare.training.augment import Augmentation
from flare.training.batches import Batch, Batches, Rows, part_of
from flare.training.losses import Loss
from flare.training.processes import all_sum, any_process, average_statistics
from flare.training.state import Checkpoint, EpochRecord, TrainingState, first_settled
from flare.training.validation import gradient_norms, heads_of, validate

Normalise = Callable[[Tensor, Tensor], Tensor]
Progress = Callable[[Iterable[Batch], int, int], Iterable[Batch]]


class Training:
    """Train a network in place: AdamW, a warm-up and cosine schedule, and averaged weights.

    All randomness is drawn from streams named by ``train.seed``, epoch, step and process, so a
    resumed training is the same as one that was never interrupted.

    What ``normalise`` makes of uint8 cubes and their mask is used until its next call only. Each
    epoch is scored on the ``validation`` batches, if there are any; with ``choose_epoch``
    ``best_weights`` are those of the best one, else of the last. Rank zero saves the state to the
    ``checkpoint`` after every epoch, every ``checkpoint_steps`` steps, and before an interruption;
    a state that is there is resumed. If ``stop`` is true after a step or a validation batch,
    training ends with KeyboardInterrupt. ``progress`` wraps the batches of an epoch, given its
    number and the number of its remaining batches.

    Raises CheckpointInvalid: the checkpoint is damaged, or of another training.
    """

    def __init__(
        self,
        network: nn.Module,
        normalise: Normalise,
        *,
        train: Batches,
        validation: Batches | None,
        options: OptimizerOptions,
        loss: Loss,
        fabric: Fabric,
        choose_epoch: bool = True,
        augment: Augmentation | None = None,
        checkpoint: Checkpoint | None = None,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = lambda batches, _epoch, _total: batches,
    ) -> None:
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.network, self.normalise, self.loss, self.fabric = network, normalise, loss, fabric
        self.options, self.augment, self.stop, self.progress = options, augment, stop, progress
        self.choose_epoch, self.checkpoint = choose_epoch, checkpoint
        self.train = train.cache_on_device(fabric.device)
        self.validation = None
        if validation is not None:
            self.validation = validation.cache_on_device(fabric.device)
        self.average: AveragedModel | None = None
        if options.ema > 0:
            self.average = AveragedModel(
                network,
                device=fabric.device,
                multi_avg_fn=partial(move_average, decay=options.ema),
                use_buffers=True,
            )
            self.average.update_parameters(network)  # the average starts at the first weights
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.model: Any  # the network as Fabric calls it: on its device, in its precision
        self.optimizer: Any
        self.model, self.optimizer = fabric.setup(network, optimizer)
        batches = len(self.train.plan(0, processes=fabric.world_size))
        steps = options.epochs * -(-batches // options.accumulate)
        factor = partial(warm_cosine, steps=steps, warmup=options.warmup)
        self.schedule = LambdaLR(optimizer, factor)
        self.state = TrainingState()
        self.resumed = self._resume()

    @property
    def records(self) -> list[EpochRecord]:
        """Records of all finished epochs, those before a resumption included."""
        return self.state.records

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """Weights of the best epoch, or of the last one (``choose_epoch``), on the CPU."""
        assert self.state.best_weights is not None
        return self.state.best_weights

    def epochs_since_best(self) -> int:
        """Return how many epochs have passed since the best one."""
        best = max((record.epoch + 1 for record in self.records if record.best), default=0)
        return len(self.records) - best

    def fit(self) -> Generator[EpochRecord]:
        """Train epoch by epoch, and yield the record of each.

        Raises TrainingDiverged: the loss of a batch is NaN or infinite (the message names epoch,
        batch and samples), or the validation loss is.
        """
        state = self.state
        while state.epoch < self.options.epochs:
            self._train_epoch()
            scores = self._validate()
            record = self._record(scores)
            state.next_epoch(record)
            if record.best or self.validation is None or not self.choose_epoch:
                state.best_weights = {
                    name: value.detach().cpu().clone()
                    for name, value in self._averaged().state_dict().items()
                }
            self._save()
            yield record

    def _train_epoch(self) -> None:
        """Take the remaining steps of an epoch; each is of ``accumulate`` batches."""
        state, fabric, each = self.state, self.fabric, self.options.accumulate
        plan = self.train.plan(state.epoch, processes=fabric.world_size)
        if state.step == 0:
            state.learning_rate = float(self.schedule.get_last_lr()[0])
        mine = [
            rows[part_of(rows, fabric.global_rank, fabric.world_size)]
            for rows in plan[state.step * each :]
        ]
        self.model.train()
        pinned = fabric.device.type == "cuda"
        with closing(self.train.read(mine, pinned=pinned)) as reading:
            batches = iter(self.progress(reading, state.epoch, len(mine)))
            for first in range(state.step * each, len(plan), each):
                started = time.perf_counter()
                self._step(plan[first : first + each], batches, first=first)
                state.seconds += time.perf_counter() - started
                every = self.options.checkpoint_steps
                stopped = any_process(self.stop(), fabric)
                if stopped or (every and self.schedule.last_epoch % every == 0):
                    self._save()
                if stopped:
                    raise KeyboardInterrupt

    def _step(self, groups: list[Rows], batches: Iterator[Batch], *, first: int) -> None:
        """Take one step over some batches of all processes."""
        state, fabric = self.state, self.fabric
        total, losses = sum(len(rows) for rows in groups), []
        seeds = state.epoch, state.step, fabric.global_rank
        torch.manual_seed(integer_seed(self.train.seed, Stream.DROPOUT, *seeds))
        self.optimizer.zero_grad(set_to_none=True)
        for place, rows in enumerate(groups):
            started = time.perf_counter()
            host = next(batches)
            state.data_wait += time.perf_counter() - started
            more = fabric.world_size > 1 and place + 1 < len(groups)
            # Gradients are averaged over processes once, after the last batch.
            with fabric.no_backward_sync(self.model) if more else nullcontext():
                batch_loss = self._forward(host, rows, number=first + place)
                # DDP averages over processes: this makes it the mean over all their samples.
                fabric.backward(batch_loss * (len(host.rows) * fabric.world_size / total))
            losses.append(batch_loss.detach().float() * len(host.rows))
        limit = self.options.gradient_clip_norm or float("inf")
        norm = fabric.clip_gradients(
            self.model, self.optimizer, max_norm=limit, error_if_nonfinite=False
        )
        assert norm is not None
        heads = heads_of(self.network)
        # The heads' norms before the whole gradient was clipped.
        head_norms = gradient_norms(heads, norm.device) * (norm / limit).clamp(min=1)
        sums = all_sum(torch.stack(losses), fabric)
        # One transfer from the device for all numbers.
        values = torch.cat([sums, norm.float().view(1), head_norms]).tolist()
        self._check_finite(values[: len(losses)], groups, first)
        self.optimizer.step()
        self.schedule.step()
        average_statistics(self.network, fabric)
        if self.average is not None:
            self.average.update_parameters(self.network)
        state.step += 1
        state.loss_sum += sum(values[: len(losses)])
        state.samples += total
        state.norm_sum += values[len(losses)]
        for name, value in zip(heads, values[len(losses) + 1 :], strict=True):
            state.head_norm_sums[name] = state.head_norm_sums.get(name, 0.0) + value

    def _forward(self, host: Batch, rows: Rows, *, number: int) -> Tensor:
        """Return the mean loss over this process' part of a batch."""
        fabric = self.fabric
        batch = host.to(fabric.to_device)
        inputs, present = self.normalise(batch.cubes, batch.present), batch.present
        if self.augment is not None:
            rng = stream(self.train.seed, Stream.AUGMENT, self.state.epoch, number)
            draws = self.augment.draw(rng, len(rows))
            mine = draws[part_of(rows, fabric.global_rank, fabric.world_size)]
            inputs, present = self.augment(inputs, present, mine)
        log10_flux, logits = self.model(inputs, present, *batch.extra_inputs)
        return self.loss(log10_flux, logits, batch)

    def _check_finite(self, losses: list[float], groups: list[Rows], first: int) -> None:
        epoch = self.state.epoch
        for place, (value, rows) in enumerate(zip(losses, groups, strict=True)):
            if not np.isfinite(value):
                total = len(self.train.plan(epoch, processes=self.fabric.world_size))
                raise TrainingDiverged(
                    f"the loss became {value} in epoch {epoch + 1}, batch {first + place + 1} of "
                    f"{total} ({self.train.names_of(rows)}); try a lower learning rate than "
                    f"{self.options.learning_rate}"
                )

    def _averaged(self) -> nn.Module:
        """Return the network that is validated and saved."""
        return self.network if self.average is None else self.average.module

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        network, batches = self._averaged(), self.validation
        scores = validate(network, self.normalise, batches, self.loss, self.fabric, stop=self.stop)
        if scores is None:
            self._save()
            raise KeyboardInterrupt
        if not np.isfinite(loss := scores["validation_loss"]):
            raise TrainingDiverged(
                f"the validation loss became {loss} in epoch {self.state.epoch + 1}; "
                f"try a lower learning rate than {self.options.learning_rate}"
            )
        return scores

    def _record(self, scores: dict[str, float]) -> EpochRecord:
        state = self.state
        seconds, steps = max(state.seconds, 1e-9), max(state.step, 1)
        restart = state.epoch == first_settled(self.options.epochs)
        lowest = float("inf") if restart else state.lowest
        return EpochRecord(
            epoch=state.epoch,
            train_loss=state.loss_sum / max(state.samples, 1),
            learning_rate=state.learning_rate,
            samples_per_second=state.samples / seconds,
            seconds=seconds,
            best=scores.get("cross_entropy", float("nan")) < lowest,
            gradient_norm=state.norm_sum / steps,
            data_wait_share=state.data_wait / seconds,
            head_gradient_norms={name: s / steps for name, s in state.head_norm_sums.items()},
            **scores,
        )

    def _modules(self) -> dict[str, Any]:
        """Return everything whose state the next step depends on."""
        modules = {
            "network": self.network,
            "optimizer": self.optimizer.optimizer,
            "schedule": self.schedule,
            "average": self.average,
            "precision": self.fabric.strategy.precision,
        }
        return {name: module for name, module in modules.items() if module is not None}

    def _save(self) -> None:
        if self.checkpoint is not None and self.fabric.is_global_zero:
            states = {name: module.state_dict() for name, module in self._modules().items()}
            self.checkpoint.save({**states, "training": self.state.state_dict()})

    def _resume(self) -> bool:
        """Load the checkpoint, which rank zero reads for all; return whether there was one."""
        saved: dict[str, Any] | None = None
        if self.checkpoint is not None and self.fabric.is_global_zero:
            saved = self.checkpoint.load()
        saved = self.fabric.broadcast(saved)
        if saved is None:
            return False
        for name, module in self._modules().items():
            module.load_state_dict(saved[name])
        self.state = TrainingState.from_state_dict(saved["training"])
        return True


def warm_cosine(step: int, *, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at a step, from 0 up.

    It rises linearly over the first ``warmup`` of all steps, and falls to 0 along half a cosine
    over the rest.
    """
    warm = max(1, int(steps * warmup))
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return 0.5 * (1 + float(np.cos(np.pi * done)))


def move_average(
    averaged: tuple[Tensor, ...] | list[Tensor],
    current: tuple[Tensor, ...] | list[Tensor],
    n_averaged: Tensor | int,
    *,
    decay: float,
) -> None:
    """Update the exponential moving average; early steps decay faster, to forget the first weights.

    Counters of batches, which are integers, are copied.
    """
    n = int(n_averaged)
    share = 1 - min(decay, n / (9 + n))
    for average, value in zip(averaged, current, strict=True):
        if average.is_floating_point():
            average.lerp_(value, share)
        else:
            average.copy_(value)
