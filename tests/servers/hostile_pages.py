"""Requests that a page of another site can send to a server on this machine through the browser of a user."""

from __future__ import annotations

import base64
import http.client
import os
from dataclasses import dataclass, field

FOREIGN = "evil.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request; `port` in headers is replaced by the server's port."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    is_websocket: bool = False

    def answer(self, port: int) -> tuple[int, dict[str, str]]:
        """Return the status and the headers of the server's response."""
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            caller.putrequest(self.method, self.path, skip_host=True)
            for name, value in {"Host": "127.0.0.1:{port}", **self.headers, **self._upgrade()}.items():
                caller.putheader(name, value.format(port=port))
            caller.endheaders()
            response = caller.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}
        finally:
            caller.close()

    def _upgrade(self) -> dict[str, str]:
        if not self.is_websocket:
            return {}
        key = base64.b64encode(os.urandom(16)).decode()
        return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}


def foreign_requests(path: str) -> dict[str, Sent]:
    """Return requests to a path that every server of the platform must refuse, by name."""
    return {
        "a name that points to this machine": Sent(path=path, headers={"Host": FOREIGN + ":{port}"}),
        "that name, and its own page": Sent(path=path, headers={"Host": FOREIGN + ":{port}", "Origin": f"http://{FOREIGN}:{{port}}"}),
        "a page elsewhere": Sent(path=path, headers={"Origin": f"https://{FOREIGN}"}),
        "another port of this machine": Sent(path=path, headers={"Origin": "http://127.0.0.1:1"}),
        "a page without an origin": Sent(path=path, headers={"Origin": "null"}),
        "an image or a script": Sent(path=path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        "a frame": Sent(path=path, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
    }


def foreign_websockets(path: str) -> dict[str, Sent]:
    """Return websockets to a path that every server of the platform must refuse, by name."""
    subprotocol = {"Sec-WebSocket-Protocol": "graphql-ws"}
    return {
        "a websocket of a page elsewhere": Sent(path=path, headers={"Origin": f"https://{FOREIGN}", **subprotocol}, is_websocket=True),
        "a websocket to a name that points to this machine": Sent(
            path=path, headers={"Host": f"{FOREIGN}:1", "Origin": f"http://{FOREIGN}:1", **subprotocol}, is_websocket=True
        ),
    }
