"""The server keeps to its own OpenAPI document, and the document leaves nothing out."""

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from real_server import climatology, running
from schemathesis import checks
from schemathesis.generation import GenerationMode

from flare.forecasters.folder import save

#: What holds for every answer. Not `positive_data_acceptance`: any bytes are a body by the
#: document, and hardly any are a sample.
ALWAYS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[str]:
    model = save(climatology(), tmp_path_factory.mktemp("openapi") / "climatology")
    with running(FLARE_MODEL=str(model)) as server:
        yield server.address


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[str]:
    with running(FLARE_MODEL=str(tmp_path_factory.mktemp("no-model"))) as server:
        yield server.address


@pytest.fixture(scope="module")
def document(served) -> dict[str, Any]:
    return httpx.get(f"{served}/openapi.json").json()


def ask_everything(address: str, *, examples: int, wanted: list[Any]) -> dict[str, set[int]]:
    """Send requests that fit the document, and ones that do not; return the statuses by path."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(mode))
            def ask(case: schemathesis.Case) -> None:
                response = case.call()
                statuses.setdefault(case.path, set()).add(response.status_code)
                case.validate_response(response, checks=wanted)

            ask()
    return statuses


def test_with_a_model_no_request_is_a_server_error_and_every_answer_is_as_documented(served):
    statuses = ask_everything(served, examples=25, wanted=[checks.not_a_server_error, *ALWAYS])
    assert len(statuses) == 9
    print(statuses)


def test_without_a_model_forecasts_are_503_as_documented_and_nothing_else_fails(empty):
    """Here a 503 is right, so that `not_a_server_error` is asked by what statuses there were."""
    statuses = ask_everything(empty, examples=5, wanted=ALWAYS)
    print(statuses)
    needs_model = {"/predict_npy", "/predict_images", "/predict_batch", "/model", "/ready"}
    for path, found in statuses.items():
        assert {one for one in found if one >= 500} == ({503} if path in needs_model else set())
