"""Requests that are answered or refused, and the check that every web server of the platform applies the rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.prometheus.server import PrometheusServer
from bot3.cli.services import free_port
from bot3.web_guard import RequestRule, is_host_name
from tests.adapters.prometheus.test_server import FakeMeasured
from tests.servers.hostile_pages import Sent, foreign_requests, foreign_websockets

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0
RULE = RequestRule(allowed_hosts=("bot.example", "2001:db8::7"), commands=("/graphql",))
NAVIGATED = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))


def refusal(*headers: tuple[str, str], method: str = "GET", path: str = "/", query: str = "") -> str | None:
    return RULE.refusal(method=method, path=path, query=query, headers=headers)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:3000", "LOCALHOST", "[::1]:8501", "bot.example", "Bot.Example:443", "[2001:db8::7]:1"]
)
def test_refusal_given_a_host_of_ours_then_there_is_none(host: str) -> None:
    assert refusal(("Host", host)) is None
    assert refusal(("host", host), ("ORIGIN", f"http://{host}"), ("Sec-Fetch-Site", "same-origin")) is None


OTHER_HOSTS = ["evil.example", "127.0.0.1.evil.example", "localhost.", "localhost@evil.example", "evil.example#localhost"]
NO_HOSTS = ["", " ", "[::1", "a:b:c", "127.0.0.1:port"]


@pytest.mark.parametrize("host", [*OTHER_HOSTS, *NO_HOSTS])
def test_refusal_given_another_host_then_names_it_as_the_reason(host: str) -> None:
    assert "Host" in str(refusal(("Host", host)))


def test_refusal_given_no_host_or_two_then_refuses() -> None:
    assert refusal() is not None
    assert refusal(("Host", "localhost"), ("Host", "evil.example")) is not None


OTHER_ORIGINS = ["http://evil.example", "http://localhost:3001", "http://localhost:3000.evil.example", "http://localhost@evil.example"]
NO_ORIGINS = ["null", "", "file://localhost:3000", "http://127.0.0.1:3000"]


@pytest.mark.parametrize("origin", [*OTHER_ORIGINS, *NO_ORIGINS])
def test_refusal_given_another_origin_then_refuses(origin: str) -> None:
    assert "origin" in str(refusal(("Host", "localhost:3000"), ("Origin", origin), method="POST"))
    assert refusal(("Host", "localhost:3000"), ("Origin", "http://localhost:3000"), ("Origin", origin)) is not None


def test_refusal_given_a_default_port_then_an_origin_without_it_is_the_same() -> None:
    assert refusal(("Host", "bot.example:443"), ("Origin", "https://bot.example")) is None
    assert refusal(("Host", "bot.example"), ("Origin", "https://bot.example:443")) is None
    assert refusal(("Host", "bot.example:80"), ("Origin", "http://bot.example:81")) is not None


def test_refusal_given_a_link_on_another_page_then_opens_a_page_and_takes_no_command() -> None:
    host = ("Host", "localhost")

    assert refusal(host, *NAVIGATED, path="/assets/features") is None
    assert refusal(host, *NAVIGATED, path="/graphql") is not None
    assert refusal(host, *NAVIGATED, path="/graphql/") is not None
    assert refusal(host, *NAVIGATED, method="POST") is not None
    assert refusal(host, *NAVIGATED[:2], ("Sec-Fetch-Dest", "iframe")) is not None
    assert refusal(host, ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")) is not None


def test_refusal_given_a_command_in_an_address_then_refuses_whoever_sends_it() -> None:
    host = ("Host", "localhost")

    assert "body" in str(refusal(host, path="/graphql", query="query=mutation{wipeAssets}"))
    assert refusal(host, path="/runs", query="q=1") is None
    assert refusal(host, path="/graphql", method="POST") is None


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_refusal_given_any_text_then_is_answered_and_only_ours_is_let_in(host: str, origin: str, site: str) -> None:
    reason = refusal(("Host", host), ("Origin", origin), ("Sec-Fetch-Site", site))

    if reason is None:
        assert is_host_name(host.strip().rpartition(":")[0]) or is_host_name(host.strip())
        assert origin.strip().lower().partition("://")[2].split(":")[0] == host.strip().lower().split(":")[0]


@pytest.mark.parametrize("text", ["http://bot.example", "bot.example:80", "*.example", "bot/x", "", "[::1]", " a"])
def test_is_host_name_given_more_than_a_name_then_is_false(text: str) -> None:
    assert not is_host_name(text)


# Every server.


@contextmanager
def process_on(port: int, *command: str, path: str, **environment: str) -> Iterator[int]:
    """Run a server, yield once its path answers, and stop it at the end."""
    given = {**os.environ, "BOT3_ALLOWED_HOSTS": "bot.example", "DAGSTER_DISABLE_TELEMETRY": "1", **environment}
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(f"http://127.0.0.1:{port}{path}"):
            assert process.poll() is None, f"the server ended with {process.returncode}"
            assert time.monotonic() < deadline, "the server does not answer"
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  # 127.0.0.1
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def metrics_on(_folder: Path) -> Iterator[int]:
    rule = RequestRule(allowed_hosts=("bot.example",))
    server = PrometheusServer(FakeMeasured(), host="127.0.0.1", port=0, rule=rule, is_current=lambda: True)
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield int(server.address.rpartition(":")[2])
    finally:
        server.stop()
        thread.join()


@contextmanager
def dashboard_on(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ("-m", "streamlit", "run", "dashboard/serve.py", "--server.port", str(port))
    with process_on(port, *command, path="/_stcore/health", BOT3_HOME=str(folder)) as ready:
        yield ready


@contextmanager
def dagster_on(folder: Path) -> Iterator[int]:
    port = free_port()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": []}))
    command = ("-m", "bot3_assets.web", "-p", str(port), "-w", str(folder / "workspace.yaml"))
    with process_on(port, *command, path="/server_info", DAGSTER_HOME=str(folder)) as ready:
        yield ready


SERVERS: dict[str, tuple[Callable[[Path], AbstractContextManager[int]], str, str | None]] = {
    "metrics": (metrics_on, "/metrics", None),
    "dashboard": (dashboard_on, "/", "/_stcore/stream"),
    "dagster": (dagster_on, "/server_info", "/graphql"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_server_given_a_page_of_another_site_then_refuses_what_it_sends_and_serves_its_own(name: str, tmp_path: Path) -> None:
    serving, path, websocket = SERVERS[name]
    with serving(tmp_path) as port:
        foreign = foreign_requests(path) | (foreign_websockets(websocket) if websocket else {})
        answers = {what: sent.answer(port)[0] for what, sent in foreign.items()}
        own = [
            Sent(path=path).answer(port),
            Sent(
                path=path, headers={"Host": "localhost:{port}", "Origin": "http://localhost:{port}", "Sec-Fetch-Site": "same-origin"}
            ).answer(port),
            Sent(path=path, headers={"Host": "bot.example", "Origin": "https://bot.example"}).answer(port),
        ]

    assert {what: status for what, status in answers.items() if status != 403} == {}
    assert [status for status, _ in own] == [200, 200, 200]
    assert {headers["x-frame-options"] for _, headers in own} == {"DENY"}
    assert all("frame-ancestors 'none'" in headers["content-security-policy"] for _, headers in own)


@pytest.mark.slow
def test_dagster_given_commands_that_a_page_can_make_a_browser_send_then_refuses_them(tmp_path: Path) -> None:
    mutation = "/graphql?query=mutation{wipeAssets(assetPartitionRanges:[]){__typename}}"
    typed = Sent(path=mutation)
    text = Sent(
        method="POST", path=mutation, headers={"Origin": "https://evil.example", "Content-Type": "text/plain", "Content-Length": "0"}
    )
    forged = Sent(
        method="POST", path="/report_asset_materialization/features", headers={"Origin": "https://evil.example", "Content-Length": "0"}
    )
    with dagster_on(tmp_path) as port:
        statuses = [sent.answer(port)[0] for sent in (typed, text, forged)]
        own = Sent(
            path="/graphql", headers={"Origin": "http://127.0.0.1:{port}", "Sec-WebSocket-Protocol": "graphql-ws"}, is_websocket=True
        )
        opened = own.answer(port)[0]

    assert statuses == [403, 403, 403]
    assert opened == 101
