"""The page over HTTP, as Prometheus' own parser reads it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot3.adapters.prometheus.server import PrometheusServer
from bot3.errors import AlreadyRunningError, DataError
from bot3.ports.metrics import Family, Kind
from bot3.web_guard import RequestRule


class FakeMeasured:
    def __init__(self) -> None:
        self.asked, self.is_well, self.bug, self.is_there = 0, True, False, True

    def families(self) -> list[Family]:
        self.asked += 1
        if self.bug:
            raise ZeroDivisionError
        return [
            Family(name="bot3_open_positions", help="Open.", labels=("bot",), samples={('B"1\n',): 2.0}),
            Family(name="bot3_closed_trades", help="Closed.", kind=Kind.COUNTER, labels=("bot",), samples={("BOT1",): 7.0}),
        ]

    def is_ready(self) -> bool:
        return self.is_well


@contextmanager
def serving(measured: FakeMeasured) -> Iterator[PrometheusServer]:
    server = PrometheusServer(measured, host="127.0.0.1", port=0, rule=RequestRule(allowed_hosts=()), is_current=lambda: measured.is_there)
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def ask(server: PrometheusServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{server.address}{path}", timeout=10) as answer:  # noqa: S310  # 127.0.0.1
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_given_families_then_prometheus_reads_them() -> None:
    measured = FakeMeasured()
    with serving(measured) as server:
        status, page = ask(server, "/metrics")

    read = {sample.name: (sample.labels, sample.value) for family in text_string_to_metric_families(page) for sample in family.samples}
    assert (status, measured.asked) == (200, 1)
    assert read == {"bot3_open_positions": ({"bot": 'B"1\n'}, 2.0), "bot3_closed_trades_total": ({"bot": "BOT1"}, 7.0)}


def test_metrics_given_two_readers_then_each_asks_anew() -> None:
    measured = FakeMeasured()
    with serving(measured) as server:
        ask(server, "/metrics")
        ask(server, "/metrics?x=1")

    assert measured.asked == 2


def test_metrics_given_a_bug_then_fails_and_shows_no_empty_page() -> None:
    measured = FakeMeasured()
    measured.bug = True
    with serving(measured) as server:
        status, page = ask(server, "/metrics")

    assert (status, "bot3_" in page) == (500, False)


def test_readyz_given_stores_that_do_not_answer_then_is_not_ready_but_alive() -> None:
    measured = FakeMeasured()
    measured.is_well = False
    with serving(measured) as server:
        assert [ask(server, path)[0] for path in ("/livez", "/readyz", "/other")] == [200, 503, 404]
        measured.is_well = True
        assert ask(server, "/readyz")[0] == 200


def test_server_given_a_port_in_use_then_names_the_setting() -> None:
    with serving(FakeMeasured()) as server:
        port = int(server.address.rpartition(":")[2])

        with pytest.raises(AlreadyRunningError, match="BOT3_METRICS_PORT"):
            PrometheusServer(FakeMeasured(), host="127.0.0.1", port=port, rule=RequestRule(allowed_hosts=()), is_current=lambda: True)


def test_serve_given_the_home_was_replaced_then_ends_and_says_so() -> None:
    measured = FakeMeasured()
    measured.is_there = False
    server = PrometheusServer(measured, host="127.0.0.1", port=0, rule=RequestRule(allowed_hosts=()), is_current=lambda: measured.is_there)

    with pytest.raises(DataError, match="replaced"):
        server.serve()
