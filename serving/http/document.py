"""The OpenAPI document: what FastAPI makes of the endpoints, with failures as they are answered."""

from typing import Any

from fastapi import FastAPI

PROBLEM_JSON = "application/problem+json"

TAGS = [
    {"name": "forecasts", "description": "Samples in, forecasts out, and those of before."},
    {"name": "model", "description": "The model that answers, and an input to try it with."},
    {"name": "operations", "description": "For probes and monitoring."},
]

_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def document_problems(app: FastAPI) -> None:
    """Have the document say of failures the type that they have (RFC 9457).

    Replaces ``app.openapi``, as FastAPI's own documentation does it ("Extending OpenAPI").
    """
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Any]:
        document = made_by_fastapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    content = answer.get("content", {})
                    if content.get("application/json", {}).get("schema") == _PROBLEM:
                        content[PROBLEM_JSON] = content.pop("application/json")
        return document

    app.openapi = openapi  # type: ignore[method-assign]
