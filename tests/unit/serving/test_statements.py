"""What a request states besides its pixels: in the answer, or refused in one line."""

import numpy as np
import pytest
from sample_images import all_images, form_of, zip_of
from serving_fakes import CUBE, NPY, npy

ZIP = {"Content-Type": "application/zip"}


def times(answer: dict) -> list[str | None]:
    return [answer[name] for name in ("issue_time", "valid_from", "valid_to")]


@pytest.mark.parametrize(
    "stated",
    [
        {"issue_time": "2026-01-15T12:00Z"},
        {"valid_from": "2026-01-15T14:00:00+02:00"},
        {"valid_to": "2026-01-16T12:00:00Z"},
        {"issue_time": "2026-01-15T12:00Z", "valid_from": "2026-01-15T12:00Z"},
    ],
)
@pytest.mark.parametrize("form", [False, True])
def test_an_array_states_its_times_and_region_by_query_or_form(shared, stated, form):
    stated = stated | {"active_region": "12673"}
    if form:
        answer = shared.post("/predict_npy", data=stated, files={"file": NPY})
    else:
        answer = shared.post("/predict_npy", params=stated, content=NPY)
    assert times(answer.json()) == [
        "2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z", "2026-01-16T12:00:00Z"
    ]  # fmt: skip
    assert answer.json()["active_region"] == 12673


BEGIN, END = "2026-01-15T12:00Z", "2026-01-16T12:00Z"
WRONG = [
    ("wrong_time", {"issue_time": "2026-01-15T12:00"}, "'2026-01-15T12:00' has no zone"),
    ("wrong_time", {"valid_from": "yesterday"}, "'yesterday' is not a time"),
    ("wrong_time", {"valid_from": "0001-01-01T00:00+09:00"}, "is out of range"),
    ("wrong_time", {"valid_from": END, "valid_to": BEGIN}, "is not after valid_from"),
    ("wrong_time", {"valid_from": BEGIN, "valid_to": "2026-01-15T18:00Z"}, "a window of 24 h"),
    ("wrong_time", {"valid_from": BEGIN, "issue_time": "2026-01-17T12:00Z"}, "is not before"),
    ("wrong_region", {"active_region": "AR 12673"}, "'AR 12673' is not a NOAA number"),
    ("wrong_region", {"active_region": "0"}, "is not a NOAA number"),
    ("wrong_region", {"active_region": ["12673", "12674"]}, "stated 2 times for 1 sample"),
]


@pytest.mark.parametrize(("code", "stated", "says"), WRONG)
def test_a_wrong_statement_is_refused_with_what_to_do(shared, code, stated, says):
    response = shared.post("/predict_npy", params=stated, content=NPY)
    problem = response.json()
    assert (response.status_code, problem["error"]) == (422, code)
    assert says in problem["detail"]
    assert problem["hint"]


def test_images_have_the_times_of_their_names_and_the_region_of_their_folder(shared):
    nested = {f"11842/2013_09_18_19_36_00_0/{name}": data for name, data in all_images().items()}
    answer = shared.post("/predict_images", content=zip_of(nested), headers=ZIP).json()
    assert times(answer)[1:] == ["2013-09-19T07:36:00Z", "2013-09-20T07:36:00Z"]
    assert answer["active_region"] == 11842
    body, kind = form_of(all_images())
    stated = {"active_region": "11842", "valid_from": "2013-09-19T07:36Z"}
    flat = shared.post(
        "/predict_images", content=body, params=stated, headers={"Content-Type": kind}
    ).json()
    assert (flat["active_region"], flat["input_digest"]) == (11842, answer["input_digest"])


def test_other_times_than_those_of_the_names_are_refused(shared):
    stated = {"valid_from": "2013-09-20T07:36Z"}
    body = zip_of(all_images())
    response = shared.post("/predict_images", content=body, params=stated, headers=ZIP)
    assert (response.status_code, response.json()["error"]) == (422, "wrong_time")


def test_a_batch_states_once_for_all_or_once_for_each(shared):
    stated = {"issue_time": "2026-01-15T12:00Z", "active_region": ["12673", "12674", "12675"]}
    batch = npy(np.stack([CUBE] * 3))
    answers = shared.post("/predict_batch", params=stated, content=batch).json()["forecasts"]
    assert [one["active_region"] for one in answers] == [12673, 12674, 12675]
    assert {one["valid_to"] for one in answers} == {"2026-01-16T12:00:00Z"}
    stated["active_region"] = ["12673", "12674"]
    assert shared.post("/predict_batch", params=stated, content=batch).status_code == 422
