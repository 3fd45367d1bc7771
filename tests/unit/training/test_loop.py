import gc
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel
from toy import readers, toy_batches

from flare.config.network_groups import OptimizerOptions
from flare.errors import TrainingDiverged
from flare.goes import EVENTS
from flare.models import NetworkConfig, build
from flare.models.normalisation import fit_normalisation
from flare.training.loop import Training, move_average
from flare.training.losses import multitask
from flare.training.state import EpochRecord

TRAIN = toy_batches()
VALIDATION = toy_batches(n=16)
NORMALISE = fit_normalisation(TRAIN.cubes, TRAIN.present, TRAIN.rows)
OPTIONS = OptimizerOptions(epochs=3, batch_size=8, learning_rate=0.02, ema=0)
FIELDS = set(OptimizerOptions.model_fields)
BATCHES = 3  # of 8 samples, in an epoch of 24
RECORD = EpochRecord(0, 1.0, 2.0, 0.5, 0.1, 0.7, 0.01, 50.0, 1.0, True, 3.0, 0.25)


def start(*, seed: int = 0, epochs: int = 3, normalise=NORMALISE, **options):
    """Return a small network and the generator of its training's records."""
    torch.manual_seed(seed)
    network = build(NetworkConfig(width=2, hidden=8))
    training = {
        "train": TRAIN,
        "validation": VALIDATION,
        "loss": multitask(1.0),
        "fabric": Fabric(accelerator="cpu", devices=1),
    }
    own = {name: options.pop(name) for name in FIELDS & set(options)}
    how = OPTIONS.model_copy(update={"epochs": epochs, **own})
    return network, Training(network, normalise, options=how, **(training | options)).fit()


def losses(**options) -> list[tuple[float, float]]:
    _, records = start(**options)
    return [(record.train_loss, record.validation_loss) for record in records]


class NanFrom:
    """Normalises, and from the given call on gives NaN."""

    def __init__(self, call: int) -> None:
        self.left = call - 1

    def __call__(self, cubes, present):
        self.left -= 1
        return NORMALISE(cubes, present) * (math.nan if self.left < 0 else 1)


def test_the_loss_falls_on_what_can_be_learned():
    result = losses(epochs=20)
    assert result[-1][0] < 0.5 * result[0][0]
    assert result[-1][1] < 0.5 * result[0][1]


def test_there_is_a_record_for_every_epoch_and_best_marks_each_new_low():
    records = list(start(epochs=11)[1])
    assert [record.epoch for record in records] == list(range(11))
    for k, record in enumerate(records):
        since = 8 if k >= 8 else 0  # of the last fifth, which settles
        earlier = [other.cross_entropy for other in records[since:k]]
        assert record.best == all(record.cross_entropy < value for value in earlier)


def test_the_cross_entropy_is_the_mean_over_samples_and_events():
    network, records = start(epochs=1)
    (record,) = records
    (whole,) = replace(VALIDATION, batch_size=16).in_order()
    with torch.inference_mode():
        _, logits = network.eval()(NORMALISE(whole.cubes, whole.present), whole.present)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, whole.events)
    assert record.cross_entropy == pytest.approx(expected.item(), rel=1e-4)


def test_without_validation_no_epoch_is_best_and_the_training_is_the_same():
    without = list(start(validation=None)[1])
    assert not any(record.best for record in without)
    assert all(math.isnan(record.validation_loss) for record in without)
    assert [record.train_loss for record in without] == [loss for loss, _ in losses()]


def test_the_same_seed_gives_the_same_losses_to_the_last_bit():
    assert losses(seed=7) == losses(seed=7)


@pytest.mark.parametrize("other", [{"seed": 8}, {"train": replace(TRAIN, seed=1)}])
def test_other_weights_or_another_order_give_other_losses(other):
    assert losses(**{"seed": 7} | other) != losses(seed=7)


def test_the_validation_loss_is_that_of_the_network_as_it_stands():
    network, records = start(epochs=1)
    (record,) = records
    network.eval()
    (whole,) = replace(VALIDATION, batch_size=16).in_order()
    with torch.inference_mode():
        log10_flux, logits = network(NORMALISE(whole.cubes, whole.present), whole.present)
    expected = multitask(1.0)(log10_flux, logits, whole)
    assert record.validation_loss == pytest.approx(expected.item(), rel=1e-5)
    mae = (log10_flux[:, 0] - whole.log10_flux).abs().mean().item()
    assert record.log10_flux_mae == pytest.approx(mae, rel=1e-5)


class Constant(torch.nn.Module):
    """Forecasts 1e-6 W m^-2 and even odds, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.log10_flux = torch.nn.Parameter(torch.tensor(-6.0))

    def forward(self, cubes, present):
        return self.log10_flux.expand(len(cubes), 1), torch.zeros(len(cubes), len(EVENTS))


def constant(**options):
    """Return the generator of the records of training it."""
    how = OPTIONS.model_copy(update={"weight_decay": 0.0, "epochs": 1, "learning_rate": 1e-9})
    return Training(
        Constant(),
        NORMALISE,
        validation=VALIDATION,
        loss=multitask(1.0),
        fabric=Fabric(accelerator="cpu", devices=1),
        options=how,
        **options,
    ).fit()


def test_the_training_loss_is_the_mean_over_samples_and_not_over_batches():
    uneven = replace(TRAIN, batch_size=10)  # 10, 10 and 4
    (record,) = constant(train=uneven)
    errors = np.abs(np.log10(TRAIN.peak_flux) + 6)
    assert record.train_loss == pytest.approx(errors.mean() + math.log(2), rel=1e-5)


def test_an_epoch_whose_cross_entropy_is_higher_is_not_the_best():
    quiet = replace(TRAIN, peak_flux=np.full(24, 1e-9))
    strong = replace(VALIDATION, peak_flux=np.full(16, 1e-3))
    _, records = start(train=quiet, validation=strong, epochs=4, learning_rate=0.01)
    assert [record.best for record in records] == [True, False, False, True]  # the last has settled


def test_validation_leaves_the_network_as_it_was():
    weights = [
        {key: value.clone() for key, value in network.state_dict().items()}
        for validation in (VALIDATION, toy_batches(n=3))
        for network, records in [start(epochs=2, validation=validation)]
        if list(records)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_learning_rate_starts_at_the_highest_and_falls_along_half_a_cosine():
    rates = [record.learning_rate for record in start(epochs=4, learning_rate=0.01)[1]]
    steps = 4 * BATCHES
    expected = [
        0.01 * 0.5 * (1 + math.cos(math.pi * max(0, BATCHES * k - 1) / (steps - 1)))
        for k in range(4)
    ]
    assert rates == pytest.approx(expected)


def test_the_learning_rate_rises_over_the_first_twentieth():
    short = replace(TRAIN, rows=TRAIN.rows[:4], batch_size=2)  # 2 batches, 80 in 40 epochs
    _, records = start(train=short, epochs=40, learning_rate=0.01)
    rates = [next(records).learning_rate for _ in range(3)]
    assert rates == pytest.approx([0.01 / 4, 0.03 / 4, 0.01])


@pytest.mark.parametrize(("call", "where"), [(1, "epoch 1, batch 1"), (2, "epoch 1, batch 2")])
def test_a_loss_of_nan_names_its_epoch_and_batch(call, where):
    with pytest.raises(TrainingDiverged, match=rf"became nan in {where} of {BATCHES} \(rows"):
        list(start(normalise=NanFrom(call))[1])


def test_a_loss_of_nan_in_a_later_epoch_keeps_the_records_before_it():
    _, records = start(normalise=NanFrom(BATCHES + 2 + 1))  # after one epoch and its validation
    assert next(records).epoch == 0
    with pytest.raises(TrainingDiverged, match="epoch 2, batch 1"):
        next(records)


def test_a_validation_loss_of_nan_is_named_too():
    with pytest.raises(TrainingDiverged, match="validation loss became nan in epoch 1"):
        list(start(normalise=NanFrom(BATCHES + 1))[1])


def test_a_batch_of_nan_does_not_reach_the_weights():
    network, records = start(normalise=NanFrom(1))
    before = {key: value.clone() for key, value in network.named_parameters()}
    with pytest.raises(TrainingDiverged):
        list(records)
    assert all(torch.equal(value, before[key]) for key, value in network.named_parameters())


def test_a_training_that_diverged_leaves_no_thread_behind():
    with pytest.raises(TrainingDiverged):
        list(start(normalise=NanFrom(2), train=replace(TRAIN, batch_size=2))[1])
    gc.collect()
    assert readers() == []


def test_a_break_ends_training_and_leaves_no_thread_behind():
    epochs = []

    def counted(batches, epoch, _total):
        epochs.append(epoch)
        return batches

    for _record in start(epochs=5, progress=counted)[1]:
        break
    gc.collect()
    assert epochs == [0]
    assert readers() == []


def test_an_interruption_within_an_epoch_leaves_no_thread_behind():
    def interrupted(batches, _epoch, _total):
        for batch in batches:
            yield batch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(start(train=replace(TRAIN, batch_size=2), progress=interrupted)[1])
    gc.collect()
    assert readers() == []


def test_progress_wraps_the_batches_of_each_epoch_and_knows_how_many():
    seen = []

    def counted(batches, epoch, total):
        for number, batch in enumerate(batches):
            seen.append((epoch, number, total))
            yield batch

    list(start(epochs=2, progress=counted)[1])
    assert seen == [(epoch, number, BATCHES) for epoch in range(2) for number in range(BATCHES)]


def test_a_record_holds_the_weights_of_its_epoch():
    network, records = start(epochs=2)
    next(records)
    first = network.heads.flux_head.weight.detach().clone()
    next(records)
    assert not torch.equal(network.heads.flux_head.weight, first)


def test_a_score_without_events_is_undefined_and_not_logged():
    quiet = replace(VALIDATION, peak_flux=VALIDATION.peak_flux * 0 + 1e-9)
    (record,) = start(epochs=1, validation=quiet)[1]
    assert math.isnan(record.roc_area)
    assert "epoch/validation/M1.0/roc_area" not in record.metrics()
    assert "epoch/validation/loss" in record.metrics()


def test_no_name_of_a_curve_is_that_of_a_final_score():
    assert RECORD.metrics() == {
        "epoch/train/loss": 1.0,
        "epoch/validation/loss": 2.0,
        "epoch/validation/flux/log10_flux_mae": 0.5,
        "epoch/validation/M1.0/brier_skill_score": 0.1,
        "epoch/validation/M1.0/roc_area": 0.7,
        "epoch/train/learning_rate": 0.01,
        "epoch/train/samples_per_second": 50.0,
        "epoch/train/gradient_norm": 3.0,
        "epoch/train/data_wait_share": 0.25,
    }


def averaging(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Return the average as the training loop makes it, started at the network's weights."""
    average = AveragedModel(
        network, multi_avg_fn=partial(move_average, decay=decay), use_buffers=True
    )
    average.update_parameters(network)
    return average


def test_the_average_forgets_the_first_weights_soon():
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = averaging(network, 0.999)
    torch.nn.init.ones_(network.weight)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.9)  # 1 - 1/10
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(1 - 0.1 * 2 / 11)


def test_no_more_than_the_decay_of_the_average_remains():
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = averaging(network, 0.05)
    torch.nn.init.ones_(network.weight)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.95)


def test_statistics_of_batch_normalisation_are_averaged_and_its_counter_is_copied():
    network = torch.nn.BatchNorm1d(2)
    average = averaging(network, 0.5)
    network.running_mean.fill_(1.0)
    network.num_batches_tracked.fill_(7)
    average.update_parameters(network)
    assert average.module.running_mean.tolist() == pytest.approx([0.9, 0.9])
    assert average.module.num_batches_tracked.item() == 7
