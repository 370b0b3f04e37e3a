"""The proxy leaves nothing behind: a thread that went on would take its time from every test after it."""

from __future__ import annotations

import socket
from threading import enumerate as threads

from tests.servers.cut_proxy import CutProxy


def test_exit_given_a_stalled_connection_with_bytes_that_wait_then_its_thread_ends() -> None:
    before = set(threads())
    with socket.create_server(("127.0.0.1", 0)) as server:
        with CutProxy(server.getsockname()[1]) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
            far, _ = server.accept()
            with far:
                far.sendall(b"x")
                assert client.recv(1) == b"x"  # it passes bytes on by now
                proxy.stall()
                client.sendall(b"x")
        left = set(threads()) - before
        for thread in left:
            thread.join(timeout=10.0)

    assert [thread for thread in left if thread.is_alive()] == []
