"""The server keeps to its own OpenAPI document, and the document leaves nothing out."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from good_uploads import GOOD
from hypothesis import HealthCheck, Phase, given, settings
from real_server import serving
from schemathesis import checks
from schemathesis.generation import GenerationMode

#: What holds for every answer. Not `positive_data_acceptance`: any bytes are a body by the
#: document, and hardly any are a sample.
ALWAYS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def served(climatology_server) -> str:
    return climatology_server.address


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("no-model")
    with serving(folder / "state", model=folder) as server:
        yield server.address


@pytest.fixture(scope="module")
def document(served) -> dict[str, Any]:
    return httpx.get(f"{served}/openapi.json").json()


def ask_everything(address: str, *, examples: int, wanted: list[Any]) -> dict[str, set[int]]:
    """Send requests that fit the document, and ones that do not; return the statuses by path."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    statuses: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        takes_something = bool(operation.body or operation.query)
        for mode in list(GenerationMode) if takes_something else [GenerationMode.POSITIVE]:

            @settings(
                max_examples=3 if operation.path == "/explain" else examples,  # it takes a second
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
    statuses = ask_everything(served, examples=15, wanted=[checks.not_a_server_error, *ALWAYS])
    assert len(statuses) == 11
    assert statuses["/history"] == statuses["/history.csv"] == {200, 422}
    assert 200 not in statuses["/predict_npy"] | statuses["/predict_batch"]


def test_without_a_model_forecasts_are_503_as_documented_and_nothing_else_fails(empty):
    """Here a 503 is right, so that `not_a_server_error` is asked by what statuses there were."""
    statuses = ask_everything(empty, examples=5, wanted=ALWAYS)
    needs_model = {
        "/predict_npy",
        "/predict_images",
        "/predict_batch",
        "/explain",
        "/model",
        "/ready",
    }
    for path, result in statuses.items():
        assert {one for one in result if one >= 500} == ({503} if path in needs_model else set())


@pytest.mark.parametrize(("path", "body", "content_type"), GOOD.values(), ids=GOOD)
def test_a_forecast_is_as_documented(served, path, body, content_type):
    """Chance does not find a sample."""
    schema = schemathesis.openapi.from_url(f"{served}/openapi.json")
    response = httpx.post(served + path, content=body, headers={"Content-Type": content_type})
    assert response.status_code == 200
    schema[path]["POST"].validate_response(response)
    history = httpx.get(f"{served}/history")
    schema["/history"]["GET"].validate_response(history)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_endpoint_says_what_it_does_and_what_it_answers(document):
    result = dict(operations(document))
    assert len(result) == 12
    for name, operation in result.items():
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        assert operation["responses"]["200"]["description"], name
        for kind, content in operation["responses"]["200"]["content"].items():
            assert content["schema"] or content["example"], f"{name} {kind}"


def test_every_failure_is_a_problem_and_says_when_it_happens(document):
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status != "200":
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, f"{name} {status}"
                assert len(answer["description"]) > 10, f"{name} {status}"


def test_every_upload_and_parameter_is_described(document):
    for name, operation in operations(document):
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            schema = content["schema"]
            for field in schema["properties"].values() if "properties" in schema else (schema,):
                assert len(field["description"]) > 100, name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], name
    uploads = [body for _, one in operations(document) if (body := one.get("requestBody"))]
    assert len(uploads) == 4
    assert all("multipart/form-data" in body["content"] for body in uploads)


def test_operations_have_names_that_make_methods_of_a_client(document):
    result = [operation for _, operation in operations(document)]
    assert {one["operationId"] for one in result} == {
        "predict_npy", "predict_images", "predict_batch", "get_model", "get_sample",
        "list_forecasts", "export_forecasts", "get_health", "get_ready", "get_metrics", "explain",
        "explain_example",
    }  # fmt: skip
    described = {tag["name"] for tag in document["tags"]}
    assert {tag for one in result for tag in one["tags"]} == described


UNITS = {
    "w_m2": ("W m^-2", "`peak_flux_w_m2`"),
    "log_flux": ("`peak_flux_w_m2`",),
    "seconds": ("Seconds",),
    "hours": ("hours", "Hours"),
    "minutes": ("minutes",),
    "image_size": ("Pixels",),
    "channel": ("Angstrom", "order"),
    "_at": ("UTC",),
    "prob": ("P(", "robability"),
    "threshold": ("robability", "reached"),
}


def test_every_field_is_described_and_names_its_unit(document):
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            text = described.get("description", "")
            assert text, f"{name}.{field}"
            for part, units in UNITS.items():
                if part in field:
                    assert any(unit in text for unit in units), f"{name}.{field}: {text}"


def test_every_example_fits_its_schema(document):
    examples = {
        name: schema["example"]
        for name, schema in document["components"]["schemas"].items()
        if "example" in schema
    }
    assert examples.keys() >= {"Prediction", "ImagesPrediction", "BatchMember", "Problem"}
    for name, example in examples.items():
        wanted = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema_rs.validate(wanted, example)
