"""Access to one home for the chat's commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.ports.control import ClockAnchor
from bot3.settings import Settings
from bot3.trading.costs import Costs
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.home import FleetHome, FleetPorts
from bot3.usecases.learning.reconciled import recorded_closes


class HomePorts(FleetPorts, Protocol):
    """The part of the platform that the answers are built from."""

    @property
    def settings(self) -> Settings:
        """Return the settings of this process."""
        ...

    @property
    def costs(self) -> Costs:
        """Return the trading costs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrades:
    """Closed trades of one bot and run mode; `source` is a text that names the store that they were read from."""

    bot: str
    frame: pd.DataFrame
    source: str


class BotHome(FleetHome):
    """One home, with the queries that several commands use."""

    def __init__(self, ports: HomePorts) -> None:
        super().__init__(ports)
        self.ports = ports

    @property
    def settings(self) -> Settings:
        """Return the settings of this process."""
        return self.ports.settings

    def now(self) -> datetime:
        """Return the market time."""
        return self.ports.clock.now()

    def every_closes(self, mode: RunMode) -> list[ClosedTrades]:
        """Return the closed trades of one run mode by bot: first of every own bot, then of the other bots that the record lists, sorted.

        A bot without such trades has an empty frame. Raises StoreError if a store cannot be read.
        """
        counts = self.trades.counts()
        foreign = counts.loc[(counts["run_mode"] == mode.value) & ~counts["bot"].isin(self.ports.bot_names), "bot"]
        return [self.closes_of(str(bot), mode) for bot in (*self.ports.bot_names, *sorted(foreign))]

    def closes_of(self, bot: str, mode: RunMode) -> ClosedTrades:
        """Return a bot's closed trades of one run mode: paper trades of own bots from their database, all others from the record.

        Raises StoreError if the store cannot be read.
        """
        if mode is RunMode.PAPER and bot in self.ports.bot_names:
            store = self.ports.bot_store(bot)
            return ClosedTrades(bot=bot, frame=self.closes(bot).frame(), source=f"{bot}'s own database {store.store_id[:8]}")
        frame, _ = self.trades.frame()
        return ClosedTrades(bot=bot, frame=recorded_closes(frame, bot=bot, run_mode=mode), source=f"the record ({bot})")

    def anchor(self) -> ClockAnchor | None:
        """Return the values that set the market clock (`ClockAnchor`); None before a home is seeded."""
        return self.ports.control.anchor()

    def as_of(self) -> str:
        """Return a line with the market time and a description of the market."""
        anchor = self.anchor()
        return f"As of {fmt.stamp(self.now())} UTC, market time; {fmt.market_source(None if anchor is None else anchor.source)}."

    def of_record(self, mode: RunMode) -> str:
        """Return a line that states the source of the figures: the record (start of its id), its revision and the run mode."""
        return f"From the record {self.ports.record.store_id[:8]}, revision {self.ports.record.revision():,}; {mode.value} trades."
