"""Refuse requests that name another host than the server's own, where those are set.

A page elsewhere whose name is made to point here (DNS rebinding) is a stranger to CORS too.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import problem

#: Probes name an address of the pod that nobody can know beforehand; these say nothing.
OPEN_PATHS = frozenset(("/health", "/ready"))


class Hosts:
    """ASGI middleware; Starlette's TrustedHostMiddleware takes no IPv6 and answers plain text."""

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self._app, self._hosts = app, tuple(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on that names one of the hosts, or asks how the server is doing."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            named = Headers(scope=scope).get("host", "")
            if not self._is_known(host_of(named)):
                response = problem(
                    400,
                    "unknown_host",
                    f"this server does not answer for the host {named[:80]!r}",
                    hint="ask it by one of its own names (FLARE_HOSTS)",
                    request_id=scope.get("state", {}).get("request_id"),
                )
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        return any(
            known in ("*", host) or (known.startswith("*.") and host.endswith(known[1:]))
            for known in self._hosts
        )


def host_of(header: str) -> str:
    """Return the host of a Host header without its port, in small letters."""
    name, _, port = header.strip().lower().rpartition(":")
    host = name if name and port.isdecimal() else header.strip().lower()
    return host.removesuffix(".")  # as a fully qualified name may end
