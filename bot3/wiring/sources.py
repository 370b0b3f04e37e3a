"""The sources of closed trades: the databases of the platform's own bots, and those that the fleet file lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bot3.errors import SettingsError
from bot3.wiring.fleet import FleetBot, fleet_of, open_fleet, source_names
from bot3.wiring.ports import Ports

if TYPE_CHECKING:
    from bot3.usecases.fleet.foreign_sources import UnreliableReader
    from bot3.usecases.learning.relearn import TradeSource


class Sources(Ports):
    """The ports of one home, and the databases whose closed trades are synced to its record."""

    @cached_property
    def source_names(self) -> tuple[str, ...]:
        """Return the names of all bots whose trades are synced: the platform's own, then those of the fleet file, each once."""
        return source_names(self.settings)

    @cached_property
    def fleet_bots(self) -> tuple[FleetBot, ...]:
        """Return the entries of the fleet file, one per bot and run mode."""
        return fleet_of(self.settings)

    @cached_property
    def fleet(self) -> tuple[UnreliableReader, ...]:
        """Return a reader of each database in the fleet file, in the order of `fleet_bots`; the readers connect at their first query."""
        readers = open_fleet(self.fleet_bots)
        for reader in readers:
            self._closers.callback(reader.close)
        return tuple(readers)

    def sources(self, bots: Sequence[str] | None = None) -> list[TradeSource]:
        """Return the sources of closed trades of some bots (None: of all).

        Each of the platform's own bots has two, its database and its backtest history; each entry of the fleet file is one more.

        Raises
        ------
        SettingsError
            If a name is neither one of the platform's own bots nor in the fleet file.
        StoreError
            If a store of an own bot cannot be opened.
        """
        from bot3.usecases.learning.relearn import TradeSource  # noqa: PLC0415  # loads numba

        names = self.source_names if bots is None else bots
        for name in names:
            if name not in self.source_names:
                raise SettingsError(f"{name!r} is not a bot: the bots are {', '.join(self.source_names)}")
        stores = [store for name in names if name in self.bot_names for store in (self.bot_store(name), self.history_store(name))]
        own = [TradeSource(reader=store, run_mode=store.run_mode) for store in stores]
        return own + [TradeSource(reader=reader, run_mode=reader.run_mode) for reader in self.fleet if reader.bot in names]
