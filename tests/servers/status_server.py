"""A loopback server that answers every request with the next given status, and stores the requests."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler

from tests.servers.loopback import LoopbackServer, QuietHandler


class StatusServer(LoopbackServer):
    """Answer with `statuses` in order, then 204; `bodies` are the decompressed request bodies, `packed` whether they were compressed."""

    def __init__(self, statuses: Sequence[int] = (), *, body: bytes = b'{"code":"x","message":"said by the server"}') -> None:
        self.bodies: list[bytes] = []
        self.packed: list[bool] = []
        self._statuses, self._body = list(statuses), body
        super().__init__()

    def next_status(self) -> int:
        return self._statuses.pop(0) if self._statuses else 204

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server, body = self, self._body

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802  # name defined by http.server
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                server.packed.append(is_packed)
                server.bodies.append(gzip.decompress(sent) if is_packed else sent)
                status = server.next_status()
                self.answer_json(status, b"" if status == 204 else body)

        return Handler
