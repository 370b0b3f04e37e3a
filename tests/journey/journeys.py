"""A market that goes on candle by candle on a seeded home, and the daemon that trades in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot3.ports.clock import Clock
from bot3.settings import Settings
from bot3.trading.orders import Intent, IntentLeg
from bot3.trading.parameters import ParameterSet
from bot3.trading.trades import Trade
from bot3.wiring import Platform
from execution.__main__ import bots_of
from execution.daemon import Daemon
from tests.clocks import MovableClock
from tests.seeded import seeded_until, tiny_settings

CANDLE = timedelta(minutes=5)
SPEED = 60.0
MOST_CANDLES = 400


class MovedPlatform(Platform):
    """A platform whose market time a test moves."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        super().__init__(settings, read_only=False)
        self._moved = clock

    @property
    def clock(self) -> Clock:  # type: ignore[override]
        return self._moved


class Journey:
    """A market that goes on candle by candle, and the daemon that lives in it."""

    def __init__(self, home: Path, **changes: Any) -> None:
        self._clock = MovableClock(seeded_until(home, **changes), speed=SPEED)
        self.platform = MovedPlatform(tiny_settings(home, **changes), clock=self._clock)
        self.daemon = Daemon(bots_of(self.platform), signals=self.platform.signal_maker(), learning=self.platform.record)
        self.store = self.platform.bot_store("BOT3")

    @property
    def now(self) -> datetime:
        return self._clock.now()

    def pass_candles(self, count: int = 1) -> None:
        """Let time pass to a moment after a close, and the daemon look."""
        closed = self.now - (self.now - datetime(2025, 1, 1, tzinfo=self.now.tzinfo)) % CANDLE
        to = closed + count * CANDLE + timedelta(seconds=1.5)
        self._clock.move((to - self.now).total_seconds() / SPEED)
        self.daemon.tick()

    def first_closed_trade(self) -> Trade:
        for _ in range(MOST_CANDLES):
            self.pass_candles()
            if closed := self.store.closed_trades(closed_since=None):
                return closed[0]
        pytest.fail(f"BOT3 closed no trade within {MOST_CANDLES} candles")

    def next_entry(self) -> Intent:
        """Return the first entry that BOT3 decides on from now on."""
        known = self.store.next_trade_id()
        for _ in range(MOST_CANDLES):
            self.pass_candles()
            entries = [i for i in self.store.intents_of_trade(known) if i.leg is IntentLeg.ENTRY]
            if entries:
                return entries[0]
        pytest.fail(f"BOT3 opened no trade within {MOST_CANDLES} candles")

    def learn(self) -> ParameterSet:
        """Take the steps of the sensor and of the meta-learner's beat."""
        self.platform.steps.learn_from_closes(self.platform.sources())
        self.platform.steps.detect_regimes()
        self.platform.steps.recommend()
        return self.parameters()

    def parameters(self) -> ParameterSet:
        return self.platform.record.parameters.as_of(self.now)
