"""Find missing lineage: compare the bots' stores, the record and Dagster's event log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorType

from bot3.errors import StoreError
from bot3.ports.publisher import PublicationKind
from bot3.trading.trades import RunMode
from bot3.wiring import Platform
from bot3_assets.publishing import SENSOR as PUBLISHING
from bot3_assets.sensors import SENSOR as LEARNING

_PARAMETERS, _COPY = dg.AssetKey("adaptive_params"), dg.AssetKey("published_learning")
_BY_BOT = ("bot_trades", "synced_trades", "trade_replays")
_ALL = 10_000


@dataclass(slots=True, kw_only=True)
class LineageAudit:
    """Comparison of stores and Dagster's events; parameters published before this object was created need no event."""

    platform: Platform
    instance: dg.DagsterInstance
    before: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.before = self._published()

    @property
    def is_reported(self) -> bool:
        """Return whether the newest materialization of the parameters has the version that the record has now."""
        return self._shown_version() == self._in_force()

    def findings(self) -> list[str]:
        """Return descriptions of what is missing now; empty if nothing is."""
        copy = self._copy() if self.platform.publishing.is_configured else ()
        return [*self._trades(), *self._parameters(), *self._chain(), *self._cursor(LEARNING), *copy]

    def events(self) -> int:
        """Return the number of materializations of the parameters in Dagster."""
        return len(self._materializations(_PARAMETERS))

    def _trades(self) -> Iterator[str]:
        for bot in self.platform.bot_names:
            held = {(trade.trade_id, trade.open_date) for trade in self.platform.bot_store(bot).closed_trades(closed_since=None)}
            recorded = self.platform.record.trades.keys(bot=bot, run_mode=RunMode.PAPER, closed_since=None)
            if held != recorded:
                yield f"{bot}: {len(held - recorded)} closes are not in the record, {len(recorded - held)} are surplus"

    def _parameters(self) -> Iterator[str]:
        shown = {str(one.metadata["version"].value) for one in self._materializations(_PARAMETERS)}
        if untold := self._published() - self.before - shown:
            yield f"{len(untold)} publications of parameters have no materialization: {sorted(untold)}"
        if not self.is_reported:
            yield "the newest materialization of the parameters does not have the version in force"

    def _chain(self) -> Iterator[str]:
        counts = self.platform.record.trades.counts()
        replays = self.platform.record.replays.frame(as_of=None, run_modes=self.platform.settings.run_modes)
        for bot in self.platform.bot_names:
            held = {
                "bot_trades": self.platform.bot_store(bot).count_closed(closed_since=None),
                "synced_trades": int(counts[counts["bot"] == bot]["trades"].sum()),
                "trade_replays": int((replays["bot"] == bot).sum()),
            }
            for asset in _BY_BOT:
                newest = next((one for one in self._materializations(dg.AssetKey(asset)) if one.partition == bot), None)
                shown = None if newest is None else newest.metadata["dagster/row_count"].value
                if shown != held[asset]:
                    yield f"{asset} of {bot}: Dagster shows {shown} rows, the store has {held[asset]}"

    def _cursor(self, sensor: str) -> Iterator[str]:
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        cursors = [getattr(state.instigator_data, "cursor", None) for state in states if state.name == sensor]
        revision = self.platform.record.revision()
        if [None if cursor is None else json.loads(cursor)["revision"] for cursor in cursors] != [revision]:
            yield f"the cursor of {sensor} is {cursors}, the record's revision {revision}"

    def _copy(self) -> Iterator[str]:
        try:
            found = self.platform.publishing.check(now=self.platform.clock.now())
        except StoreError as error:
            yield f"the copy cannot be read: {error}"
            return
        if found.waiting or not found.is_equal:
            yield f"InfluxDB differs from the record: {found}"
        newest = self._materializations(_COPY, limit=1)
        shown, revision = [one.metadata["revision"].value for one in newest], self.platform.record.revision()
        if shown != [revision]:
            yield f"the newest materialization of published_learning is of revision {shown}, the record's is {revision}"
        yield from self._cursor(PUBLISHING)

    def _published(self) -> frozenset[str]:
        return frozenset(head.version for head in self.platform.record.outbox.heads() if head.noun is PublicationKind.PARAMETERS)

    def _in_force(self) -> str:
        return self.platform.record.parameters.as_of(self.platform.clock.now()).version

    def _shown_version(self) -> object:
        newest = self._materializations(_PARAMETERS, limit=1)
        return newest[0].metadata["version"].value if newest else None

    def _materializations(self, key: dg.AssetKey, *, limit: int = _ALL) -> list[dg.AssetMaterialization]:
        records = self.instance.fetch_materializations(key, limit=limit).records
        return [one.asset_materialization for one in records if one.asset_materialization is not None]
