"""Who may ask: requests with an API key, and for one of the server's own host names."""

import hmac
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import problem, request_id_of
from serving.settings import Settings

_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="Only where the server has a FLARE_API_KEY."
)
_bearer = HTTPBearer(auto_error=False, description="The same key as a bearer token.")

#: Probes use the address of a pod, which changes; these endpoints reveal nothing.
OPEN_PATHS = frozenset(("/health", "/ready"))


async def check_key(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Refuse a request without one of the keys, where some are set, before its body is read."""
    settings: Settings = request.app.state.settings
    if settings.api_keys and not holds_key(request):
        raise HTTPException(
            401,
            "the API key is missing or wrong" if header or bearer else "an API key is needed",
            headers={"WWW-Authenticate": "Bearer"},
        )


def holds_key(request: Request) -> bool:
    """Return whether a request brings one of the keys; False where none is set."""
    settings: Settings = request.app.state.settings
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    key = (request.headers.get("x-api-key") or bearer).encode()
    return any(hmac.compare_digest(key, one.encode()) for one in settings.api_keys)


class Hosts:
    """ASGI middleware that refuses requests for another host, where FLARE_HOSTS is set.

    CORS does not stop a page whose host name was made to point here (DNS rebinding). Starlette's
    TrustedHostMiddleware takes no IPv6 addresses and answers in plain text.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self._app, self._hosts = app, tuple(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request for one of the hosts, or for a path that is open to probes."""
        app = self._app
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            host = Headers(scope=scope).get("host", "")
            if not self._is_known(_without_port(host)):
                app = problem(
                    400,
                    "unknown_host",
                    f"this server does not answer for the host {host[:80]!r}",
                    hint="use one of the server's own names (FLARE_HOSTS)",
                    request_id=request_id_of(scope),
                )
        await app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        return any(
            known in ("*", host) or (known.startswith("*.") and host.endswith(known[1:]))
            for known in self._hosts
        )


def _without_port(header: str) -> str:
    header = header.strip().lower()
    name, _, port = header.rpartition(":")
    return (name if name and port.isdecimal() else header).removesuffix(".")
