import pytest

from serving.http.problems import without_places


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "the registry http://mlflow:5000 does not answer",
            "the registry (hidden) does not answer",
        ),
        ("no alias 'P' in sqlite:////srv/x.db; promote", "no alias 'P' in (hidden); promote"),
        ("version 3: /srv/m has no weights", "version 3: (hidden) has no weights"),
        ("no images in C:\\data\\x; check", "no images in (hidden); check"),
        ("cannot reach 10.0.0.3:5000 within 0.05 s", "cannot reach (hidden) within 0.05 s"),
        ("host db:5432 is away", "host (hidden) is away"),
        ("Pool(host='db.internal', port=5000)", "Pool(host='(hidden)', (hidden))"),
    ],
)
def test_paths_and_addresses_are_hidden_and_the_rest_stays(text, shown):
    assert without_places(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "no model is loaded: the first one is still being loaded",
        "the probabilities [0.1 2.] are not within 0 and 1",
        "version v1: damaged; promote another version",
        "no forecast within 0.05 s (FLARE_TIME_LIMIT_SECONDS)",
    ],
)
def test_a_message_without_places_stays_as_it_is(text):
    assert without_places(text) == text
