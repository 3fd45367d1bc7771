"""The API key, where one is set: compared in constant time, before a body is read."""

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
    """Refuse a request without the key; 401."""
    settings: Settings = request.app.state.settings
    if settings.api_key is None:
        return
    given = header or (bearer.credentials if bearer else "")
    wanted = settings.api_key.get_secret_value()
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(
            401,
            "the API key is missing or wrong" if given else "an API key is needed",
            headers={"WWW-Authenticate": "Bearer"},
        )
