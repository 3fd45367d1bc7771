import pytest
from mlflow import MlflowClient

from entrypoints.promote import main
from flare.config import PromoteConfig
from flare.errors import ModelNotFound, PromotionRefused
from flare.tracking.promotions import Promotion, promotion_history, versions_before
from flare.tracking.registry import production_version
from flare.workflows import promote

SCORE = "flare.validation_brier_skill_score"
SAME = {"flare.data_fingerprint": "a" * 64, "flare.split_fingerprint": "b" * 16}


@pytest.fixture
def register(make_version, request):
    """Return a function that registers a version for every mapping of tags, oldest first."""

    def make(*tags: dict[str, str]) -> str:
        for some in tags:
            make_version(request.node.name, some)
        return request.node.name

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


def test_without_any_score_nothing_is_the_best(register):
    name = register(SAME, SAME)
    line = r"versions 2, 1: no validation BSS of M1.0 is stored.*pass -P version=NUMBER"
    with pytest.raises(PromotionRefused, match=line):
        promote.run(PromoteConfig(model_name=name, version="best"))
    assert promotion_history(name) == []


def test_a_version_that_learned_nothing_is_left_out_and_the_reason_is_printed(register):
    reason = {"flare.learned": "false", "flare.learned.reason": "no better than climatology"}
    name = register({**SAME, SCORE: "0.2"}, {**SAME, SCORE: "0.4", **reason})
    result = promote.run(PromoteConfig(model_name=name, version="best"))
    assert result.version.version == 1
    assert "version 2: it learned nothing" in result.lines()[-1]
    assert "no better than climatology" in result.lines()[-1]


def test_a_version_that_learned_nothing_needs_force_by_its_number_too(register):
    name = register({**SAME, SCORE: "0.4", "flare.learned": "false"})
    with pytest.raises(PromotionRefused, match=r"no version .* version 1: it learned nothing"):
        promoted(name, "best")
    for version in ("1", "latest"):
        with pytest.raises(PromotionRefused, match=r"version 1 .* it learned nothing.*force=REAS"):
            promote.run(PromoteConfig(model_name=name, version=version))
    assert promoted(name, "latest") == 1


def test_latest_previous_and_a_number(register):
    name = register({}, {}, {})
    assert promoted(name, "1") == 1
    assert promoted(name, "latest") == 3
    assert promoted(name, "previous") == 1
    with pytest.raises(ModelNotFound, match=r"version 1 .* is the first .* -P version=NUMBER"):
        promoted(name, "previous")
    assert promoted(name, "2") == 2
    assert promoted(name, "previous") == 1


def moves(*numbers: int) -> list[Promotion]:
    """Return the history of promotions of these versions; a negative number is a rollback to it."""
    before = [None, *map(abs, numbers)]
    return [
        Promotion("", "", old, abs(new), rollback=new < 0)
        for old, new in zip(before, numbers, strict=False)
    ]


@pytest.mark.parametrize(
    ("history", "current", "back_to"),
    [
        ((1, 2, 3), 3, [2, 1]),
        ((1, 2, 3, -2), 2, [1]),
        ((1, 2, 3, -2, 4), 4, [2, 1]),
        ((1, 2), 3, [2, 1]),  # the alias was moved by hand
        ((1,), 1, []),
    ],
)
def test_rollbacks_undo_promotions_one_by_one(history, current, back_to):
    assert versions_before(moves(*history), current) == back_to


def test_a_rollback_skips_deleted_versions(register):
    name = register({}, {}, {})
    for number in ("1", "2", "3"):
        promoted(name, number)
    MlflowClient().delete_model_version(name, "2")
    assert promoted(name, "previous") == 1


def test_a_rollback_follows_the_tags_of_promotions_older_than_the_history(register):
    before = "flare.previous_production"
    name = register({}, {before: "1"}, {before: "2"}, {})
    MlflowClient().set_registered_model_alias(name, "Production", "3")
    promoted(name, "4")
    assert [promoted(name, "previous") for _ in range(3)] == [3, 2, 1]


def test_the_history_and_the_run_say_who_moved_production_from_where_and_why(register, newest):
    name = register({}, {})
    promoted(name, "1")
    promoted(name, "2")
    promoted(name, "previous")
    first, second, back = promote.history(PromoteConfig(model_name=name, version="history"))
    assert [(one.before, one.version) for one in (first, second, back)] == [
        (None, 1), (1, 2), (2, 1)
    ]  # fmt: skip
    assert first.at < second.at < back.at
    assert (first.why, back.why) == ("asked for by its number", "it was Production before 2")
    assert (second.rollback, back.rollback) == (False, True)
    run = newest("promote")
    assert (back.who, back.run_id) == (run.info.user_id, run.info.run_id)
    assert run.data.tags["flare.promoted_version"] == "1"
    assert run.data.tags["flare.because"] == back.why
    again = promote.run(PromoteConfig(model_name=name, version="1"))
    assert again.lines()[0].endswith("before: the same version")


def test_a_long_reason_in_any_language_fits_the_tags_of_every_database(register):
    name = register({"flare.learned": "false"})
    promote.run(PromoteConfig(model_name=name, version="1", force="å" * 4000))
    (text,) = MlflowClient().get_registered_model(name).tags.values()
    assert len(text) <= 5000
    assert "forced: ååå" in promotion_history(name)[0].why


def test_printing_the_history_starts_no_run_and_moves_nothing(register, newest, capsys):
    name = register({}, {})
    promoted(name, "1")
    run_id = newest("promote").info.run_id
    main(PromoteConfig(model_name=name, version="history"))
    line = capsys.readouterr().out.strip()
    assert line.endswith("promoted from nothing to version 1: asked for by its number")
    assert newest("promote").info.run_id == run_id
    assert production_version(name).version == 1


@pytest.mark.parametrize("version", ["best", "latest", "7", "history"])
def test_with_nothing_registered_the_error_has_the_command(at_home, version):
    run = promote.history if version == "history" else promote.run
    with pytest.raises(ModelNotFound, match=r"'nobody' is registered.*-e train"):
        run(PromoteConfig(model_name="nobody", version=version))


def test_a_number_that_is_not_registered_changes_nothing(register):
    name = register({}, {})
    promoted(name, "1")
    with pytest.raises(ModelNotFound, match=r"no version 7 of .* registered: 2, 1"):
        promoted(name, "7")
    assert production_version(name).version == 1
