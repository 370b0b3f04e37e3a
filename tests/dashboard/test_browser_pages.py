"""Every page in a real Chromium, on a home filled through the real stores."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot3.wiring import open_platform
from tests.dashboard.homes import a_beat, settings_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"": "Now", "trades": "Trades", "learned": "Learned", "feeders": "Feeders", "regime": "Regime", "system": "System"}
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
MISSING = "Chromium is missing; to have it: apt-get install chromium"
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PATIENCE_MS = 60_000.0
PATIENCE_S = 60.0

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(filled_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = _free_port()
    log = tmp_path_factory.mktemp("server") / "streamlit.log"
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/serve.py", "--server.port", str(port)]
    environment = {**os.environ, "BOT3_HOME": str(filled_home)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_healthy(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # only where there is a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"streamlit ended with {process.returncode}:\n{log.read_text()[-2_000:]}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):  # noqa: S310  # 127.0.0.1 only
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            process.poll()
    pytest.fail(f"streamlit did not answer within {PATIENCE_S:.0f} s:\n{log.read_text()[-2_000:]}")


def _open(page: Page, address: str, title: str) -> None:
    page.goto(address)
    page.get_by_role("heading", name=title, exact=True).wait_for(timeout=PATIENCE_MS)
    page.wait_for_selector(SETTLED, timeout=PATIENCE_MS)
    assert page.get_by_test_id("stException").count() == 0


@pytest.mark.parametrize("path", PAGES)
def test_page_given_a_browser_then_settles_without_an_error(path: str, server: str, page: Page, tmp_path: Path) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)

    _open(page, f"{server}/{path}", PAGES[path])

    page.get_by_text("Simulated market: not real money, not a real market.").first.wait_for(timeout=PATIENCE_MS)
    page.screenshot(path=tmp_path / f"{path or 'now'}.png", full_page=True)
    assert hosts == {server.removeprefix("http://")}


def test_trades_given_an_address_of_a_trade_then_tells_its_story(server: str, page: Page) -> None:
    _open(page, f"{server}/trades?trade=BOT3-paper-1", "Trades")

    page.get_by_text("Parameters used").wait_for(timeout=PATIENCE_MS)


def test_trades_given_a_click_on_a_row_then_the_address_names_it(server: str, page: Page) -> None:
    _open(page, f"{server}/trades", "Trades")
    grid = page.get_by_test_id("stDataFrame").first
    grid.scroll_into_view_if_needed()

    # The grid is a canvas: its first row's box lies below the header.
    grid.click(position={"x": 17, "y": 52})

    page.wait_for_url("**/trades?*trade=BOT3-paper-1*", timeout=PATIENCE_MS)
    page.get_by_role("heading", name="BOT3, paper trade 1").wait_for(timeout=PATIENCE_MS)


def test_now_given_a_new_heartbeat_then_shows_it_without_a_reload(server: str, page: Page, filled_home: Path) -> None:
    _open(page, server, "Now")

    with open_platform(settings_of(filled_home)) as platform:
        platform.control.beat(replace(a_beat(platform.clock.wall_now()), pid=777_777))

    page.get_by_text("process 777777").wait_for(timeout=PATIENCE_MS)
    page.get_by_text("All well").wait_for(timeout=PATIENCE_MS)


def test_now_given_a_narrow_screen_then_nothing_is_wider_than_it(server: str, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})

    _open(page, server, "Now")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1400, "height": 1000})
