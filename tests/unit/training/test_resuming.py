"""A resumed training gives the same bits as one that was never interrupted."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from toy import toy_batches

from flare.config.network_groups import OptimizerOptions
from flare.errors import CheckpointInvalid
from flare.models import NetworkConfig, build
from flare.models.normalisation import fit_normalisation
from flare.training.augment import Augmentation
from flare.training.loop import Training
from flare.training.losses import multitask
from flare.training.state import Checkpoint, TrainingState

TRAIN, VALIDATION = toy_batches(batch_size=4), toy_batches(n=16)
NORMALISE = fit_normalisation(TRAIN.cubes, TRAIN.present, TRAIN.rows)
#: 6 batches an epoch, so 3 steps; dropout, mirrors and an average that a state must not forget.
OPTIONS = OptimizerOptions(epochs=3, batch_size=4, learning_rate=0.02, accumulate=2, ema=0.9)


class Stop:
    """Says no so many times, and then yes."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def train(checkpoint=None, *, stop=lambda: False, take=99, **options):
    """Train until the end or the stop; return the state and the network's weights."""
    torch.manual_seed(0)
    network = build(NetworkConfig(width=2, hidden=8, dropout=0.5))
    training = Training(
        network,
        NORMALISE,
        train=TRAIN,
        validation=VALIDATION,
        options=OPTIONS.model_copy(update=options),
        loss=multitask(1.0),
        fabric=Fabric(accelerator="cpu", devices=1),
        augment=Augmentation(
            NORMALISE, mirror=True, shift=0.1, brightness_jitter=0.3, image_dropout=0.1
        ),
        checkpoint=checkpoint,
        stop=stop,
    )
    records = training.fit()
    try:
        for _ in zip(range(take), records, strict=False):
            pass
    except KeyboardInterrupt:
        pass
    records.close()
    return training.state, {name: value.clone() for name, value in network.state_dict().items()}


def timeless(state: TrainingState) -> list[dict[str, object]]:
    """Return the records without what a clock says."""
    clocks = ("seconds", "samples_per_second", "data_wait_share")
    return [{k: v for k, v in asdict(one).items() if k not in clocks} for one in state.records]


@pytest.fixture(scope="module")
def whole():
    return train()


def assert_same(result, whole) -> None:
    assert timeless(result[0]) == timeless(whole[0])
    for name, value in whole[1].items():
        assert torch.equal(result[1][name], value), name
        assert torch.equal(result[0].best_weights[name], whole[0].best_weights[name]), name


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "new" / "network.pt", {"seed": "0"})


# Asked after each of three steps and, as they come, after each of two batches of validation.
@pytest.mark.parametrize("asked", [0, 2, 4, 5, 14, 99])
def test_stopped_anywhere_and_resumed_it_ends_with_the_same_bits(checkpoint, whole, asked):
    stopped, _ = train(checkpoint, stop=Stop(asked))
    assert len(stopped.records) == min(asked // 5, 3)
    assert_same(train(checkpoint), whole)


class Dying(Checkpoint):
    """Saves so many states, remembers all, and writes no more: what a power cut leaves."""

    def __init__(self, checkpoint: Checkpoint, after: int = 99) -> None:
        super().__init__(checkpoint.path, checkpoint.identity)
        object.__setattr__(self, "after", after)
        object.__setattr__(self, "saved", [])

    def save(self, state) -> None:
        self.saved.append((state["training"]["epoch"], state["training"]["step"]))
        if len(self.saved) <= self.after:
            super().save(state)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_state_every_few_steps_is_resumed_with_the_same_bits(checkpoint, whole, after):
    dying = Dying(checkpoint, after)
    train(dying, checkpoint_steps=2)
    assert dying.saved == [(0, 2), (1, 0), (1, 1), (1, 3), (2, 0), (2, 2), (3, 0)]
    assert_same(train(checkpoint), whole)


def test_nothing_but_the_state_is_left_in_the_folder(checkpoint):
    assert checkpoint.load() is None
    checkpoint.remove()
    train(checkpoint, take=1)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["network.pt"]
    checkpoint.remove()
    assert list(checkpoint.path.parent.iterdir()) == []


def test_a_write_that_fails_leaves_the_state_before(checkpoint):
    checkpoint.save({"epoch": 1})
    with pytest.raises(TypeError):
        checkpoint.save({"epoch": (one for one in [1])})
    assert checkpoint.load()["epoch"] == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), r"cannot be read .* delete it to train"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), r"cannot be read .* delete it to"),
        (lambda path: path.write_bytes(b"\x80\x02N."), r"cannot be read .* delete it to train"),
        (
            lambda path: torch.save(torch.load(path, weights_only=True) | {"format": 0}, path),
            "has format 0, this version reads 2",
        ),
        (
            lambda path: Checkpoint(path, {"seed": "1"}).save({}),
            "training with other seed; resume with",
        ),
    ],
)
def test_a_damaged_state_or_one_of_another_format_or_training_is_refused(
    checkpoint, damage, message
):
    checkpoint.save({})
    damage(checkpoint.path)
    with pytest.raises(CheckpointInvalid, match=rf"network.pt .*{message}"):
        checkpoint.load()


def test_averaged_weights_are_those_that_are_validated_and_saved(whole):
    state, weights = whole
    plain, _ = train(ema=0.0)
    assert [one.train_loss for one in state.records] == [one.train_loss for one in plain.records]
    assert state.records[-1].validation_loss != plain.records[-1].validation_loss
    assert any(not torch.equal(weights[name], state.best_weights[name]) for name in weights)


def test_accumulated_batches_are_one_batch():
    """The mean over 8 + 4 samples is that over 12: no dropout, no batch normalisation."""
    losses = [
        [one.train_loss for one in fit_linear(batch_size=size, accumulate=each)]
        for size, each in ((12, 1), (8, 2), (4, 3), (5, 3))
    ]
    for result in losses[1:]:
        assert result == pytest.approx(losses[0], rel=1e-5)


class Linear(torch.nn.Module):
    """Forecasts from the mean brightness alone."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 5)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.constant_(self.linear.bias, -1)

    def forward(self, cubes, present):
        outputs = self.linear(cubes.mean(dim=(2, 3, 4)).mean(dim=1, keepdim=True))
        return outputs[:, :1], outputs[:, 1:]


def fit_linear(*, batch_size: int, accumulate: int):
    """Return the records of 12 samples in one step an epoch, always in the same order."""
    batches = toy_batches(n=12, batch_size=batch_size, sampler=lambda _rng: np.arange(12))
    own = {"epochs": 4, "accumulate": accumulate, "ema": 0.0, "gradient_clip_norm": 0.0}
    return Training(
        Linear(),
        NORMALISE,
        train=batches,
        validation=None,
        options=OPTIONS.model_copy(update=own),
        loss=multitask(1.0),
        fabric=Fabric(accelerator="cpu", devices=1),
    ).fit()


def test_the_gradient_norm_of_a_record_is_that_before_clipping():
    records = list(fit_linear(batch_size=12, accumulate=1))
    assert records[0].gradient_norm > 1
    assert math.isfinite(records[0].data_wait_share)
