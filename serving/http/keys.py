"""The API keys, where some are set: compared in constant time, before a body is read."""

import hmac
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from serving.settings import Settings

_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="Only where the server has a FLARE_API_KEY."
)
_bearer = HTTPBearer(auto_error=False, description="The same key as a bearer token.")


async def check_key(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Refuse a request without one of the keys; 401."""
    settings: Settings = request.app.state.settings
    given = header or (bearer.credentials if bearer else "")
    if settings.api_keys and not _is_key(given, settings):
        raise HTTPException(
            401,
            "the API key is missing or wrong" if given else "an API key is needed",
            headers={"WWW-Authenticate": "Bearer"},
        )


def holds_key(request: Request) -> bool:
    """Say whether a request brings one of the keys; never where none is set."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return _is_key(request.headers.get("x-api-key") or bearer, request.app.state.settings)


def _is_key(given: str, settings: Settings) -> bool:
    sent = given.encode()
    return any(hmac.compare_digest(sent, key.encode()) for key in settings.api_keys)
