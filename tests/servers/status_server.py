"""A loopback server that answers every request with the next status it was given, and keeps what was sent."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self


class StatusServer:
    """Answers with `statuses` in their order, then 204; `bodies` holds what was sent, unpacked."""

    def __init__(self, statuses: Sequence[int] = (), *, body: bytes = b'{"code":"x","message":"said by the server"}') -> None:
        self.bodies: list[bytes] = []
        self._statuses, self._body = list(statuses), body
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_status(self) -> int:
        return self._statuses.pop(0) if self._statuses else 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server, body = self, self._body

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                server.bodies.append(gzip.decompress(sent) if self.headers.get("Content-Encoding") == "gzip" else sent)
                status = server.next_status()
                self.send_response(status)
                said = b"" if status == 204 else body
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                return

        return Handler
