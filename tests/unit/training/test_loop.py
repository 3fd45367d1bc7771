import gc
import math
from dataclasses import replace
from functools import cache, partial

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
from flare.training.loop import Training, move_average, warm_cosine
from flare.training.losses import multitask
from flare.training.state import EpochRecord

TRAIN = toy_batches()
VALIDATION = toy_batches(n=16)
NORMALISE = fit_normalisation(TRAIN.cubes, TRAIN.present, TRAIN.rows)
OPTIONS = OptimizerOptions(epochs=3, batch_size=8, learning_rate=0.02, ema=0)
FIELDS = set(OptimizerOptions.model_fields)
BATCHES = 3  # of 8 samples, in an epoch of 24


def start(*, network=None, seed: int = 0, normalise=NORMALISE, **options):
    """Return a small network and the generator of its training's records."""
    torch.manual_seed(seed)
    network = network or build(NetworkConfig(width=2, hidden=8))
    training = {
        "train": TRAIN,
        "validation": VALIDATION,
        "loss": multitask(1.0),
        "fabric": Fabric(accelerator="cpu", devices=1),
    }
    own = {name: options.pop(name) for name in FIELDS & set(options)}
    how = OPTIONS.model_copy(update=own)
    return network, Training(network, normalise, options=how, **(training | options)).fit()


@cache
def records_of(*, seed: int = 0, epochs: int = 3) -> list[EpochRecord]:
    return list(start(seed=seed, epochs=epochs)[1])


def losses(records) -> list[tuple[float, float]]:
    return [(record.train_loss, record.validation_loss) for record in records]


class NanFrom:
    """Normalises, and from the given call on gives NaN."""

    def __init__(self, call: int) -> None:
        self.left = call - 1

    def __call__(self, cubes, present):
        self.left -= 1
        return NORMALISE(cubes, present) * (math.nan if self.left < 0 else 1)


def test_the_losses_fall_and_best_marks_each_new_low_of_the_last_fifth():
    records = records_of(epochs=16)
    assert records[-1].train_loss < 0.5 * records[0].train_loss
    assert records[-1].validation_loss < 0.5 * records[0].validation_loss
    assert [record.epoch for record in records] == list(range(16))
    for k, record in enumerate(records):
        since = 12 if k >= 12 else 0  # of the last fifth, which settles
        earlier = [other.cross_entropy for other in records[since:k]]
        assert record.best == all(record.cross_entropy < value for value in earlier)


def test_the_scores_of_validation_are_those_of_the_network_as_it_stands():
    network, records = start(epochs=1)
    (record,) = records
    (whole,) = VALIDATION.read([VALIDATION.rows])
    with torch.inference_mode():
        log10_flux, logits = network.eval()(NORMALISE(whole.cubes, whole.present), whole.present)
    expected = {
        "validation_loss": multitask(1.0)(log10_flux, logits, whole),
        "log10_flux_mae": (log10_flux[:, 0] - whole.log10_flux).abs().mean(),
        "cross_entropy": torch.nn.functional.binary_cross_entropy_with_logits(logits, whole.events),
    }
    for name, value in expected.items():
        assert getattr(record, name) == pytest.approx(value.item(), rel=1e-4), name


def test_without_validation_no_epoch_is_best_and_the_training_is_the_same():
    without = list(start(validation=None)[1])
    assert not any(record.best for record in without)
    assert all(math.isnan(record.validation_loss) for record in without)
    assert [one.train_loss for one in without] == [one.train_loss for one in records_of()]


def test_the_seeds_of_weights_and_order_decide_every_bit():
    assert losses(start()[1]) == losses(records_of())
    for other in ({"seed": 8}, {"train": replace(TRAIN, seed=1)}):
        assert losses(start(**other)[1]) != losses(records_of())


class Constant(torch.nn.Module):
    """Forecasts 1e-6 W m^-2 and even odds, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.log10_flux = torch.nn.Parameter(torch.tensor(-6.0))

    def forward(self, cubes, present):
        return self.log10_flux.expand(len(cubes), 1), torch.zeros(len(cubes), len(EVENTS))


def test_the_training_loss_is_the_mean_over_samples_and_not_over_batches():
    uneven = replace(TRAIN, batch_size=10)  # 10, 10 and 4
    own = {"weight_decay": 0.0, "epochs": 1, "learning_rate": 1e-9}
    _, (record,) = start(network=Constant(), train=uneven, **own)
    errors = np.abs(np.log10(TRAIN.peak_flux) + 6)
    assert record.train_loss == pytest.approx(errors.mean() + math.log(2), rel=1e-5)


def test_an_epoch_whose_cross_entropy_is_higher_is_not_the_best():
    quiet = replace(TRAIN, peak_flux=np.full(24, 1e-9))
    strong = replace(VALIDATION, peak_flux=np.full(16, 1e-3))
    _, records = start(train=quiet, validation=strong, epochs=4, learning_rate=0.01)
    assert [record.best for record in records] == [True, False, False, True]  # the last has settled


def test_validation_leaves_the_network_as_it_was():
    weights = []
    for validation in (VALIDATION, toy_batches(n=3)):
        network, records = start(epochs=2, validation=validation)
        list(records)
        weights.append(network.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_learning_rate_rises_linearly_and_falls_along_half_a_cosine():
    factors = [warm_cosine(step, steps=80, warmup=0.05) for step in range(81)]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert factors[4 + 38] == pytest.approx(0.5)
    assert factors[80] == pytest.approx(0)
    assert (np.diff(factors[4:]) < 0).all()
    rates = [record.learning_rate for record in records_of()]
    expected = [0.02 * warm_cosine(BATCHES * k, steps=3 * BATCHES, warmup=0.05) for k in range(3)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "epochs", "where"),
    [
        (1, 0, rf"loss became nan in epoch 1, batch 1 of {BATCHES} \(rows"),
        (2, 0, "loss became nan in epoch 1, batch 2 of"),
        (BATCHES + 1, 0, "validation loss became nan in epoch 1"),
        (BATCHES + 2 + 1, 1, "loss became nan in epoch 2, batch 1"),
    ],
)
def test_a_loss_of_nan_names_its_place_and_ends_the_reading(call, epochs, where):
    _, records = start(normalise=NanFrom(call))
    for epoch in range(epochs):
        assert next(records).epoch == epoch
    with pytest.raises(TrainingDiverged, match=where):
        next(records)
    gc.collect()
    assert readers() == []


def test_a_batch_of_nan_does_not_reach_the_weights():
    network, records = start(normalise=NanFrom(1))
    before = {key: value.clone() for key, value in network.named_parameters()}
    with pytest.raises(TrainingDiverged):
        list(records)
    assert all(torch.equal(value, before[key]) for key, value in network.named_parameters())


def test_progress_wraps_the_batches_of_each_epoch_and_a_break_ends_training():
    seen = []

    def counted(batches, epoch, total):
        for number, batch in enumerate(batches):
            seen.append((epoch, number, total))
            yield batch

    for record in start(epochs=5, progress=counted)[1]:
        if record.epoch == 1:
            break
    gc.collect()
    assert seen == [(epoch, number, BATCHES) for epoch in range(2) for number in range(BATCHES)]
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


def test_a_score_without_events_is_undefined_and_not_logged():
    quiet = replace(VALIDATION, peak_flux=VALIDATION.peak_flux * 0 + 1e-9)
    (record,) = start(epochs=1, validation=quiet)[1]
    assert math.isnan(record.roc_area)
    assert "epoch/validation/M1.0/roc_area" not in record.metrics()


def test_no_name_of_a_curve_is_that_of_a_final_score():
    record = EpochRecord(0, 1.0, 0.01, 50.0, 1.0, True, 3.0, 0.25, 2.0, 0.5, 0.1, 0.7)
    assert record.metrics() == {
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


@pytest.mark.parametrize(
    ("decay", "expected"), [(0.999, [0.9, 1 - 0.1 * 2 / 11]), (0.05, [0.95, 0.9975])]
)
def test_the_average_forgets_the_first_weights_soon_and_at_least_as_fast_as_it_decays(
    decay, expected
):
    network = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(network.weight)
    average = averaging(network, decay)
    torch.nn.init.ones_(network.weight)
    for weight in expected:
        average.update_parameters(network)
        assert average.module.weight.item() == pytest.approx(weight)


def test_statistics_of_batch_normalisation_are_averaged_and_its_counter_is_copied():
    network = torch.nn.BatchNorm1d(2)
    average = averaging(network, 0.5)
    network.running_mean.fill_(1.0)
    network.num_batches_tracked.fill_(7)
    average.update_parameters(network)
    assert average.module.running_mean.tolist() == pytest.approx([0.9, 0.9])
    assert average.module.num_batches_tracked.item() == 7
