"""From parameters to what a training is told."""

from dataclasses import asdict

import pytest
import torch

from flare.config import TrainConfig
from flare.config.network_groups import ObjectiveOptions as Parameters
from flare.training.objective import Objective
from flare.workflows.fitting.network_settings import network_settings

CHANGED = Objective(
    head="multitask",
    flux_loss="pinball",
    label_floor=1e-8,
    event_loss="focal",
    event_weight=2.5,
    event_balance=0.75,
    focal_gamma=1.5,
    sampling="region_balanced",
    mirror=False,
    shift=0.05,
    drift=0.2,
    drop=0.02,
)


def test_every_parameter_of_the_aims_reaches_the_training():
    assert not set(asdict(CHANGED).items()) & set(asdict(Objective()).items())
    assert network_settings(TrainConfig(**asdict(CHANGED)), seed=0).objective == CHANGED


def test_there_is_a_parameter_for_every_aim_with_the_same_default():
    usual = {name: field.default for name, field in Parameters.model_fields.items()}
    assert usual == asdict(Objective())


def test_the_precision_is_decided_before_the_training(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    settings = network_settings(TrainConfig(precision="auto", accelerator="cpu"), seed=0)
    assert settings.fit.precision == "bf16-mixed"


@pytest.mark.parametrize(("flux_loss", "quantiles"), [("pinball", 3), ("l1", 1), ("censored", 1)])
def test_the_pinball_loss_asks_the_network_for_three_quantiles(flux_loss, quantiles):
    settings = network_settings(TrainConfig(head="multitask", flux_loss=flux_loss), seed=0)
    assert settings.network.n_quantiles == quantiles


def test_a_distribution_asks_for_no_quantile_of_the_flux():
    assert network_settings(TrainConfig(), seed=0).network.n_quantiles == 0
