"""Validate requests to the platform's web servers, so that pages of other web sites cannot use the servers.

The servers have no login. A page of another site could send requests through the browser in which it is open: `Host` (a site can resolve
its own name to 127.0.0.1), `Origin` and `Sec-Fetch-Site` are validated here, in the same way for Dagster's pages, the dashboard and the
metrics. Accepted are requests of the server's own pages, requests that no page sent, and links on other pages that open one of ours.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS_AGAINST_FRAMES = (("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors 'none'"))
"""Added to every response, so that no other site's page can show the response in a frame and redirect clicks to it."""

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?))(?::\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_OWN_SITE = frozenset({"same-origin", "none"})  # none: a typed URL, or a bookmark
_POLICY_VIOLATION = 1008

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_host_name(text: str) -> bool:
    """Return whether a text is a host's name or IP address, without a port."""
    found = _HOST.fullmatch(text.lower()) or _HOST.fullmatch(f"[{text.lower()}]")
    return found is not None and text.lower() in {found["six"], found["name"]}


class RequestRule:
    """Decides whether a request is accepted.

    Parameters
    ----------
    allowed_hosts : iterable of str
        Host names, without a port, that are accepted besides the loopback ones.
    commands : iterable of str
        Paths that execute commands: links on other pages do not open them, and requests other than POST may not have a query string,
        because a page of another site can redirect a browser to any URL.
    """

    def __init__(self, *, allowed_hosts: Iterable[str], commands: Iterable[str] = ()) -> None:
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in allowed_hosts}
        self._commands = tuple(commands)

    def refusal(self, *, method: str, path: str, query: str, headers: Iterable[tuple[str, str]]) -> str | None:
        """Return why a request is rejected; None if it is accepted.

        Parameters
        ----------
        headers : iterable of (str, str)
            Names in any case, in the order received, one pair for each line.
        """
        held: dict[str, list[str]] = {}
        for name, value in headers:
            held.setdefault(name.lower(), []).append(value.strip())
        return self._host_refusal(held.get("host", [])) or self._origin_refusal(held) or self._site_refusal(held, method, path, query)

    def _host_refusal(self, hosts: list[str]) -> str | None:
        found = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if found is None:
            return "the request has no Host header, or no valid one"
        if (found["six"] or found["name"]) not in self._hosts:
            return "the request's Host is not one of this server: add it to BOT3_ALLOWED_HOSTS if it is yours"
        return None

    def _origin_refusal(self, held: dict[str, list[str]]) -> str | None:
        (host,) = held["host"]
        for origin in held.get("origin", []):
            scheme, _, place = origin.lower().partition("://")
            port = _DEFAULT_PORTS.get(scheme)
            if port is None or place.removesuffix(port) != host.lower().removesuffix(port):
                return "the request was sent by a page of another origin"
        return None

    def _site_refusal(self, held: dict[str, list[str]], method: str, path: str, query: str) -> str | None:
        is_command = any(path.rstrip("/") == command or path.startswith(f"{command}/") for command in self._commands)
        if is_command and query and method != "POST":
            return "commands are read from the body of a request, not from its URL"
        if set(held.get("sec-fetch-site", [])) <= _OWN_SITE:
            return None
        # A link on another site's page may open a page of this server in a tab.
        opens = method in {"GET", "HEAD"} and held.get("sec-fetch-mode") == ["navigate"] and held.get("sec-fetch-dest") == ["document"]
        return None if opens and not is_command else "the request was sent by a page of another site"


class WebGuard:
    """ASGI middleware that answers requests that a `RequestRule` rejects with status 403, and forbids pages of the others in frames.

    Parameters
    ----------
    app : ASGI application
        The application behind the guard.
    rule : RequestRule
    """

    def __init__(self, app: Application, *, rule: RequestRule) -> None:
        self._app, self._rule = app, rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        reason = self._rule.refusal(
            method=scope.get("method", "GET"),
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        )
        if reason is None:
            await self._app(scope, receive, _without_frames(send))
        elif scope["type"] == "http":
            await _refuse(send, reason)
        else:
            await receive()
            # The connection is closed before it was accepted: the server responds with 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})


def _without_frames(send: Send) -> Send:
    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = [(name.lower().encode(), value.encode()) for name, value in HEADERS_AGAINST_FRAMES]
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return guarded


async def _refuse(send: Send, reason: str) -> None:
    body = f"403: {reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
