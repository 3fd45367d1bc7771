"""A model that forecasts fewer events than the other: said before any work, not after it."""

import numpy as np
import pytest

from flare.config import EvaluateConfig
from flare.errors import ConfigInvalid
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import save
from flare.goes import EVENTS
from flare.workflows import evaluate

from tiny import write_tiny_dataset

ORIGIN = Origin("a" * 64, "other", True, (9999,), 4)


def test_compare_to_a_model_of_fewer_events_is_refused_by_name(at_home, tmp_path):
    write_tiny_dataset(tmp_path / "tiny")
    for name, events in (("all", EVENTS), ("three", EVENTS[1:])):
        spec = ForecasterSpec(image_size=32, events=events)
        flux = np.array([1e-9, 3e-6, 2e-5, 2e-4])
        save(fit_climatology(flux, spec=spec, origin=ORIGIN), tmp_path / name)
    config = EvaluateConfig(
        data_dir=tmp_path / "tiny",
        model=str(tmp_path / "all"),
        compare_to=str(tmp_path / "three"),
        output_dir=tmp_path / "out",
    )
    with pytest.raises(ConfigInvalid, match=r"does not forecast B1\.0"):
        evaluate.run(config)
