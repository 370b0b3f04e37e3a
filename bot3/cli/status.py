"""`bot3 status`: show the services, the age of the newest data, the bots with their results, and the published learning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import typer

from bot3.cli.output import JsonFlag, print_json, print_table, results
from bot3.cli.session import seeded_platform
from bot3.cli.supervisor import is_same_process
from bot3.errors import DataError, LearningError
from bot3.ports.control import Heartbeat
from bot3.trading.figures import MoneyFigures, notional_sums, summary
from bot3.trading.trades import OrderPattern, RunMode, Trade
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import ENDED, is_silent, state_in_force
from bot3.usecases.fleet.data_ages import read_data_ages
from bot3.usecases.fleet.foreign_sources import UnreliableReader
from bot3.usecases.fleet.home import FleetHome
from bot3.usecases.fleet.trade_cache import close_frame
from bot3.usecases.terms import definitions
from bot3.wiring import Platform

_UNHEALTHY = 4


def register(app: typer.Typer) -> None:
    """Add the command `status` to the command line."""
    terms = ("heartbeat", "latch", "market time", "wall time", "version", "known at", "profit factor", "return on stake", "win rate")
    app.command(epilog=definitions(*terms))(status)


def status(*, as_json: JsonFlag = False) -> None:
    """Show services, the market clock, bots and published learning; exit code 4 if a service that should run does not."""
    with seeded_platform() as platform:
        found: dict[str, Any] = {
            "home": str(platform.settings.home),
            "trading_mode": platform.settings.trading_mode,
            "market": _market(platform),
            "services": _services(platform),
            "bots": [_bot(platform, name) for name in platform.bot_names],
            "fleet": _fleet(platform),
            "learning": _learning(platform),
            "newest_data_age_s": _ages(platform),
        }
    if as_json:
        print_json(found)
    else:
        _show(found)
    if any(not service["is_running"] for service in found["services"]):
        raise typer.Exit(_UNHEALTHY)


def _market(platform: Platform) -> Mapping[str, Any]:
    anchor = platform.control.anchor()
    if anchor is None:
        return {"source": "unknown", "now": None}
    return {
        "source": anchor.source,
        "now": platform.clock.now(),
        "speed": anchor.speed,
        "is_running": anchor.is_running,
        "ends_at": anchor.ends_at,
    }


def _ages(platform: Platform) -> Mapping[str, float | None]:
    """Return the ages of `DataAges` in seconds; None for unknown ones, and for all before the market clock is set."""
    anchor = platform.control.anchor()
    if anchor is None:
        return {"candle": None, "close": None, "publication": None}
    beats, wall_now = platform.control.heartbeats(), platform.clock.wall_now()
    ages = read_data_ages(FleetHome(platform), anchor=anchor, beats=beats, wall_now=wall_now)
    each = {"candle": ages.candle, "close": ages.close, "publication": ages.publication}
    return {what: None if age is None else age.total_seconds() for what, age in each.items()}


def _services(platform: Platform) -> list[Mapping[str, Any]]:
    state_file = platform.settings.home / "run" / "supervisor.json"
    beats, wall_now = {beat.process: beat for beat in platform.control.heartbeats()}, platform.clock.wall_now()
    if not state_file.exists():
        return [_service_elsewhere(beat) for beat in beats.values() if not is_silent(beat, wall_now=wall_now)]
    state = json.loads(state_file.read_text(encoding="utf-8"))
    rows: list[Mapping[str, Any]] = []
    for name, identity in {"supervisor": state["supervisor"], **state["services"]}.items():
        beat = beats.get(name)
        is_stale = beat is not None and is_silent(beat, wall_now=wall_now)
        rows.append(
            {
                "service": name,
                "pid": int(identity[0]),
                "is_running": is_same_process(identity) and not is_stale and not _has_ended(beat),
                "heartbeat": None if beat is None else beat.wall_at,
                "state": None if beat is None else beat.state,
                "address": state["addresses"].get(name),
            }
        )
    return rows


def _service_elsewhere(beat: Heartbeat) -> Mapping[str, Any]:
    """Return the row of a process that `bot3 up` did not start (but systemd or a container), from its heartbeat."""
    return {
        "service": beat.process,
        "pid": beat.pid,
        "is_running": not _has_ended(beat),
        "heartbeat": beat.wall_at,
        "state": beat.state,
        "address": None,
    }


def _has_ended(beat: Heartbeat | None) -> bool:
    return beat is not None and beat.state in ENDED


def _bot(platform: Platform, name: str) -> Mapping[str, Any]:
    store = platform.bot_store(name)
    found = state_in_force(platform.control, name, wall_now=platform.clock.wall_now())
    closes, opened = close_frame(store.closed_trades(closed_since=None)), store.open_trades()
    return {
        "bot": name,
        "store": store.store_id,
        "state": found.state,
        "reason": found.reason,
        "is_latched": found.is_latched,
        "is_told_by_daemon": found.is_reported,
        "open_trades": len(opened),
        "open_notional_abs": notional_sums(opened),
        "closed_trades": len(closes),
        "money": summary(closes).money,
        "last_close": closes["close_date"].max().to_pydatetime() if len(closes) else None,
    }


def _fleet(platform: Platform) -> list[Mapping[str, Any]]:
    """Return one row per bot and run mode for bots of other programs, and for live trades of the platform's own bots.

    Results are from the record; open trades are from the database in the fleet file, None if there is none or it cannot be read.
    """
    counts, watched = platform.record.trades.counts(), {(source.bot, source.run_mode.value): source for source in platform.fleet}
    held = {(str(row["bot"]), str(row["run_mode"])) for row in counts.to_dict("records")}
    foreign = [key for key in held if key[0] not in platform.bot_names or key[1] == RunMode.LIVE.value]
    return [_fleet_bot(platform, bot, RunMode(mode), watched.get((bot, mode))) for bot, mode in sorted({*foreign, *watched})]


def _fleet_bot(platform: Platform, bot: str, mode: RunMode, source: UnreliableReader | None) -> Mapping[str, Any]:
    closes = platform.record.trades.frame(as_of=None, run_modes=(mode,), bots=(bot,))
    opened, trouble = _open_trades(source)
    verdict = "not watched" if source is None else "read" if trouble is None else "NOT READ"
    return {
        "bot": bot,
        "run_mode": mode,
        "database": verdict,
        "trouble": trouble,
        "open_trades": None if opened is None else len(opened),
        "open_notional_abs": None if opened is None else notional_sums(opened),
        "closed_trades": len(closes),
        "several_orders": int((closes["order_pattern"] == OrderPattern.MULTIPLE).sum()),
        "money": summary(closes).money,
        "last_close": closes["close_date"].max().to_pydatetime() if len(closes) else None,
    }


def _open_trades(source: UnreliableReader | None) -> tuple[list[Trade] | None, str | None]:
    """Return the open trades of a fleet database and None; None and the reason if it cannot be read; None twice without a database."""
    if source is None:
        return None, None
    try:
        return source.open_trades(), None
    except DataError as error:
        return None, str(error)


def _learning(platform: Platform) -> Mapping[str, Any]:
    now, anchor = platform.clock.now(), platform.control.anchor()
    found: dict[str, Any] = {"revision": platform.record.revision()}
    for noun, read in (("parameters", platform.record.parameters.as_of), ("recommendation", platform.record.recommendations.as_of)):
        try:
            value = read(now)
        except LearningError as error:
            found[noun] = {"missing": str(error)}
        else:
            found[noun] = {
                "version": value.version,
                "known_at": value.known_at,
                "expires_at": value.expires_at,
                "is_expired": now >= value.expires_at,
                "life": fmt.expiry(value.expires_at, now=now, anchor=anchor),
            }
    return found


def _show(found: Mapping[str, Any]) -> None:
    market = found["market"]
    if market["now"] is not None:
        running = "running" if market["is_running"] else "paused"
        results.print(
            f"{found['home']}: {found['trading_mode']} on the {market['source']} market, {market['now']:%Y-%m-%d %H:%M:%S} UTC, {running}"
        )
    ages = found["newest_data_age_s"]
    told = ", ".join(f"{what} {'none yet' if age is None else fmt.ago(timedelta(seconds=age))}" for what, age in ages.items())
    results.print(f"newest data (wall time): {told}")
    services = [
        (s["service"], s["pid"], "yes" if s["is_running"] else "NO", s["state"], s["heartbeat"], s["address"]) for s in found["services"]
    ]
    print_table(
        "Services" if services else "Services: none sends a heartbeat (`bot3 up` starts them)",
        ("service", "pid", "runs", "state", "heartbeat", "address"),
        services,
    )
    print_table(
        "Bots (from each bot's own database)",
        ("bot", "state", "open", "closed", "realised", "return on stake", "profit factor", "last close", "reason"),
        [
            (b["bot"], b["state"], b["open_trades"], b["closed_trades"], *_money_cells(b["money"]), b["last_close"], _reason(b))
            for b in found["bots"]
        ],
    )
    if found["fleet"]:
        print_table(
            "Bots of others (closes from the record, open trades from their databases)",
            ("bot", "mode", "database", "open", "closed", "realised", "return on stake", "profit factor", "last close", "trouble"),
            [_fleet_cells(bot) for bot in found["fleet"]],
        )
    learning = found["learning"]
    print_table(
        f"Published learning (record, revision {learning['revision']})",
        ("what", "version", "known at (market)", "expires at (market)", "life, wall time first"),
        [_learning_row(noun, learning[noun]) for noun in ("parameters", "recommendation")],
    )


def _fleet_cells(bot: Mapping[str, Any]) -> tuple[Any, ...]:
    counts = (bot["open_trades"], bot["closed_trades"])
    return (bot["bot"], bot["run_mode"], bot["database"], *counts, *_money_cells(bot["money"]), bot["last_close"], bot["trouble"])


def _money_cells(money: Sequence[MoneyFigures]) -> tuple[str | None, str | None, str | None]:
    """Return profit, return on stake and profit factor as texts with one line per currency; three None if no trade was closed."""
    if not money:
        return None, None, None
    return (
        "\n".join(fmt.money(found.profit_abs, found.currency) for found in money),
        "\n".join(fmt.ratio(found.return_on_stake.value) for found in money),
        "\n".join(fmt.number(found.profit_factor) for found in money),
    )


def _reason(bot: Mapping[str, Any]) -> str:
    if bot["reason"] or bot["is_told_by_daemon"]:
        return str(bot["reason"])
    return "latch only: the daemon reports nothing"


def _learning_row(noun: str, value: Mapping[str, Any]) -> tuple[Any, ...]:
    if "missing" in value:
        return (noun, None, None, None, value["missing"])
    return (noun, value["version"][:12], value["known_at"], value["expires_at"], value["life"])
