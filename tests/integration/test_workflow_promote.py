import numpy as np
import pytest
from mlflow import MlflowClient

from flare.config import PromoteConfig
from flare.errors import ModelNotFound
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.climatology import fit_climatology
from flare.tracking.packaging import package
from flare.tracking.registry import production_version
from flare.tracking.runs import start
from flare.workflows import promote

SCORE = "flare.validation_brier_skill_score"
SAME = {"flare.data_fingerprint": "a" * 64, "flare.split_fingerprint": "b" * 16}


@pytest.fixture
def register(at_home, request):
    """Return a function that registers a version for every mapping of tags, oldest first."""

    def make(*tags: dict[str, str]) -> str:
        origin = Origin("0", "tiny", True, (), 2)
        spec = ForecasterSpec(image_size=32)
        one = fit_climatology(np.array([1e-9, 1e-5]), spec=spec, origin=origin)
        example = np.ones((4, 10, 32, 32), dtype=np.uint8)
        name = request.node.name
        with start("baseline", name="some") as run:
            first = package(
                run, one, example=example, family="climatology", model_name=name, tags=tags[0]
            )
        source = MlflowClient().get_model_version(name, str(first.version)).source
        for more in tags[1:]:
            MlflowClient().create_model_version(name, source, tags=more)
        return name

    return make


def promoted(name: str, version: str) -> int:
    force = "" if version == "previous" else "nothing to compare"
    promote.run(PromoteConfig(model_name=name, version=version, force=force))
    return production_version(name).version


def test_best_is_the_highest_validation_score(register):
    name = register(*({**SAME, SCORE: score} for score in ("0.1", "0.3", "-0.2")))
    assert promoted(name, "best") == 2


def test_scores_on_other_regions_are_not_compared(register):
    other = SAME | {"flare.split_fingerprint": "c" * 16}
    name = register({**other, SCORE: "0.9"}, {**SAME, SCORE: "0.1"}, {**SAME, SCORE: "0.0"})
    assert promoted(name, "best") == 2


def test_without_any_score_best_is_the_newest_and_says_so(register):
    name = register(SAME, SAME)
    found = promote.run(PromoteConfig(model_name=name, version="best"))
    assert found.version.version == 2
    assert "no version has a validation BSS" in found.because


def test_latest_previous_and_a_number(register):
    name = register({}, {}, {})
    assert promoted(name, "1") == 1
    assert promoted(name, "latest") == 3
    assert promoted(name, "previous") == 1
    assert promoted(name, "2") == 2
    assert promoted(name, "previous") == 1


def test_the_first_production_version_has_no_previous(register):
    name = register({})
    promoted(name, "1")
    with pytest.raises(ModelNotFound, match=r"version 1 .* is the first .* -P version=NUMBER"):
        promoted(name, "previous")


def test_promoting_twice_is_told_as_what_it_is(register):
    name = register({})
    promoted(name, "1")
    again = promote.run(PromoteConfig(model_name=name, version="1"))
    assert again.lines()[0].endswith("before: the same version")


def test_the_run_says_what_was_promoted_and_why(register, newest):
    name = register({})
    promoted(name, "1")
    tags = newest("promote").data.tags
    assert tags["flare.promoted_version"] == "1"
    assert tags["flare.because"] == "asked for by its number"


@pytest.mark.parametrize("version", ["best", "latest", "7"])
def test_with_nothing_registered_the_error_has_the_command(at_home, version):
    with pytest.raises(ModelNotFound, match=r"'nobody' is registered in sqlite:.*-e train"):
        promoted("nobody", version)


def test_a_number_that_is_not_registered_changes_nothing(register):
    name = register({}, {})
    promoted(name, "1")
    with pytest.raises(ModelNotFound, match=r"no version 7 of .* registered: 2, 1"):
        promoted(name, "7")
    assert production_version(name).version == 1
