"""Check the fleet: unavailable databases, dates in another time zone than configured, trades that are not synced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot3.cli.findings import DoctorContext, Finding, bad, good
from bot3.errors import StoreError
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.trades import OrderPattern
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.foreign_sources import UnreliableReader, trouble_of
from bot3.usecases.fleet.status import SYNC_GRACE
from bot3.usecases.learning.left_out import left_out_of_learning
from bot3.wiring.fleet import FleetBot, zone_of

_CLOCK_SLACK = timedelta(days=1)
_MONTHS = tuple(timedelta(days=30 * number) for number in range(13))


def fleet(subject: str, patient: DoctorContext) -> Finding:
    """Check every bot of the fleet file: its database is readable, its dates are in the configured time zone, its trades are synced.

    Whether trades are synced is checked only if services should run.
    """
    platform = patient.platform
    bots = list(zip(platform.fleet_bots, platform.fleet, strict=True))
    if not bots:
        return good(subject, "none: BOT3_FLEET_FILE is empty")
    wrong = [found for bot, reader in bots for found in _wrong(bot, reader, patient)]
    if wrong:
        return bad(subject, "; ".join(text for text, _ in wrong), remedy="; ".join(dict.fromkeys(remedy for _, remedy in wrong)))
    return good(subject, "; ".join(_described(bot, reader, platform.settings.bins) for bot, reader in bots))


def _wrong(bot: FleetBot, reader: UnreliableReader, patient: DoctorContext) -> Iterator[tuple[str, str]]:
    """Yield each problem of a bot's database and its remedy; nothing if there is no problem."""
    name = f"{bot.name} {bot.run_mode}"
    if (trouble := trouble_of(reader)) is not None:
        yield (
            f"{name} cannot be read: {trouble}",
            "fix the problem that the text names; its trades are read as soon as the database is available",
        )
        return
    yield from _wrong_zone(bot, name=name, now=patient.platform.wall_now())
    yield from _later_closes(reader, name=name, now=patient.platform.clock.now())
    found = patient.unsynced(reader, run_mode=bot.run_mode, speed=1.0)
    if patient.is_served and found is not None and found.is_late:
        detail = f"{name}: {found.recorded} of {found.closed} closed trades are synced after {fmt.span(SYNC_GRACE)}"
        yield detail, "see the ticks of `closes_to_parameters`, then `bot3 learn run`"


def _later_closes(reader: UnreliableReader, *, name: str, now: datetime) -> Iterator[tuple[str, str]]:
    later = reader.count_closed(closed_since=now + _CLOCK_SLACK)
    if later:
        yield (
            f"{name}: {later} closes are later than the market's time, {now:%Y-%m-%d %H:%M} UTC, and are not learned from before it",
            "a fleet needs a home with its own candles, at their time: set BOT3_CANDLES and BOT3_HOME, and run `bot3 init` (docs/fleet.md)",
        )


def _wrong_zone(bot: FleetBot, *, name: str, now: datetime) -> Iterator[tuple[str, str]]:
    try:
        zone = zone_of(bot)
    except StoreError as error:
        yield f"{name}: its time zone is unknown ({error})", "fix the problem that the text names"
        return
    if zone is not None and not _is_same(zone, bot.source_timezone, now=now):
        yield (
            f"{name}: its database writes dates in {zone}, but the fleet file is set to {bot.source_timezone}",
            f'set source_timezone = "{zone}" for {bot.name} in the fleet file, unless its process sets PGTZ; then `bot3 learn run`',
        )


def _is_same(zone: str, other: str, *, now: datetime) -> bool:
    """Return whether two zones had the same UTC offset in each month of the last year, whatever their names are."""
    try:
        first, second = ZoneInfo(zone), ZoneInfo(other)
    except (ZoneInfoNotFoundError, ValueError):
        return zone == other
    instants = [now.astimezone(UTC) - ago for ago in _MONTHS]
    return all(at.astimezone(first).utcoffset() == at.astimezone(second).utcoffset() for at in instants)


def _described(bot: FleetBot, reader: UnreliableReader, bins: LeverageBins) -> str:
    found = reader.read_all()
    left_out = "".join(f", {unused.count} left out of learning: {unused.reason}" for unused in left_out_of_learning(found, bins=bins))
    unknown = sum(trade.order_pattern is OrderPattern.UNKNOWN for trade in found.closed)
    compared = f", {unknown} without orders are compared with their candles" if unknown else ""
    refused = f", {len(found.refused)} rows refused (`bot3 audit` lists them)" if found.refused else ""
    return f"{bot.name} {bot.run_mode}: {len(found.closed)} closed, dates in {bot.source_timezone}{left_out}{refused}{compared}"
