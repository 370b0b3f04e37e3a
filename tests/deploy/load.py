"""Bots that close trades continuously, as their daemons would: two trades a transaction, each bot in its own database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event
from time import monotonic

from bot3.settings import Settings
from bot3.wiring import Platform, open_platform
from tests.assets.test_sensors import a_close

_FIRST_ID = 1_000_001
_PAUSE_S = 0.02


class Load:
    """Ids of the committed trades by bot, and the duration of the slowest commit."""

    def __init__(self) -> None:
        self.committed: dict[str, list[int]] = defaultdict(list)
        self.slowest_s = 0.0

    def ids(self) -> dict[str, set[int]]:
        return {bot: set(ids) for bot, ids in self.committed.items()}

    def write(self, platform: Platform, *, number: int) -> None:
        """Close two trades of every bot; record the ids once they are committed."""
        now = platform.clock.now()
        for bot in platform.bot_names:
            ids = (_FIRST_ID + 2 * number, _FIRST_ID + 2 * number + 1)
            at = now - timedelta(minutes=number % 600)
            closes = [replace(a_close(platform, one, at=at), bot=bot, account=f"paper-{bot}", is_short=bot == "BOT2") for one in ids]
            began = monotonic()
            platform.bot_store(bot).import_trades(closes)
            self.slowest_s = max(self.slowest_s, monotonic() - began)
            self.committed[bot] += ids


@contextmanager
def load(settings: Settings) -> Iterator[Load]:
    """Close trades in a thread with its own connections; an error of the thread is raised at the end."""
    made, stopped, begun = Load(), Event(), Event()

    def trade() -> None:
        with open_platform(settings) as platform:
            number = 0
            while not stopped.wait(_PAUSE_S):
                made.write(platform, number=number)
                number += 1
                begun.set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        trading: Future[None] = pool.submit(trade)
        trading.add_done_callback(lambda _: begun.set())
        assert begun.wait(60)
        try:
            yield made
        finally:
            stopped.set()
        trading.result(60)
