"""A proxy to a server that can be cut or stalled: now, or after a number of messages, between a request and its response."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16
_POLL_S = 0.05


class CutProxy:
    """Listen on a port and forward bytes; while the proxy is cut, it refuses connections.

    While it is stalled its connections stay open, accept bytes and forward none: half-open, as after a failover or behind a firewall that
    dropped their state.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._is_cut, self._is_closed, self._left = False, False, 0
        self._stalled: set[int] = set()
        self._are_new_stalled = False
        self._flows = Event()
        self._flows.set()
        self._thread = Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_closed = True
        self.mend()  # the thread of a stalled connection would never end
        self.cut()
        self._thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Close every connection and refuse new ones until `mend`."""
        with self._lock:
            self._is_cut, pairs, self._pairs = True, self._pairs, []
        for near, far in pairs:
            for end in (near, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, messages: int) -> None:
        """Cut once a number of messages have reached the server; the response is never forwarded."""
        self._left = messages

    def stall(self, *, new_too: bool = False) -> None:
        """Stop forwarding on open connections until `mend`; new ones work, or stall too."""
        with self._lock:
            self._stalled |= {id(near) for near, _ in self._pairs}
            self._are_new_stalled = new_too
            self._flows.clear()

    def mend(self) -> None:
        self._is_cut, self._left = False, 0
        with self._lock:
            self._stalled.clear()
            self._are_new_stalled = False
            self._flows.set()

    def _accept(self) -> None:
        while not self._is_closed:
            if not select.select([self._listener], [], [], _POLL_S)[0]:
                continue
            near, _ = self._listener.accept()
            if self._is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()  # the server is down
                continue
            with self._lock:
                self._pairs.append((near, far))
                if self._are_new_stalled:
                    self._stalled.add(id(near))
            Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while True:
                ready, _, _ = select.select([near, far], [], [])
                if self._is_stalled(near):
                    self._flows.wait()
                    continue
                for end in ready:
                    data = end.recv(_CHUNK)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)
                    if end is near and self._counts_down():
                        self.cut()
                        return

    def _is_stalled(self, near: socket.socket) -> bool:
        with self._lock:
            return id(near) in self._stalled

    def _counts_down(self) -> bool:
        with self._lock:
            is_last = self._left == 1
            self._left = max(0, self._left - 1)
            return is_last
