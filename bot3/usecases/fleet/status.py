"""Read the fleet's status (each bot's state, open trades and closed trades, and the published learning) and derive its alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import DataError, LearningError, StoreBusyError, StoreError
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat, TradingState
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import Recommendation
from bot3.trading.trades import RunMode, Trade
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import StateInForce, daemon_beat, is_silent, state_in_force
from bot3.usecases.fleet.home import FleetHome
from bot3.usecases.fleet.trade_cache import Known, known
from bot3.usecases.fleet.watched_trades import WatchedReader
from bot3.usecases.learning.reconciled import NO_GAP, Gap, gap_of_closes, gap_of_counts, recorded_closes, recorded_count

ALL_ACTIVE = "all bots active"
SYNC_GRACE = timedelta(seconds=60)
"""Wall time after a close from which its absence from the record is an alert; the slowest sync interval is 30 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A problem and its remedy; severe ones stop trading or make a figure wrong.

    `key` identifies the problem and is the same while it lasts. `hides` are the keys of alerts that cannot be checked while this one is
    active: that they are absent then does not show that their problems have ended.
    """

    key: str
    text: str
    remedy: str
    is_severe: bool = True
    hides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """Status of one of the platform's own bots.

    Parameters
    ----------
    in_force : StateInForce
        Its trading state.
    open_trades, closes : tuple of Trade, DataFrame or None
        Its open trades, and the frame of its closed paper trades (columns `trade_cache.CLOSE_COLUMNS`), from its own database.
    gap : Gap
        Paper closes that only its own database or only the record contains, without those younger than `SYNC_GRACE`.
    history_gap : Gap or None
        The same for its backtest history, by the counts; None if the history cannot be read (`history_problem`).
    problem : str
        Why its database cannot be read; then only `bot` and `in_force` are known. "" if it was read.
    """

    bot: str
    in_force: StateInForce
    store_id: str = ""
    open_trades: tuple[Trade, ...] = ()
    closes: pd.DataFrame | None = None
    gap: Gap = NO_GAP
    history_gap: Gap | None = NO_GAP
    history_problem: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedStatus:
    """Status of one bot and run mode of the fleet file: a bot of another program, whose database is never written.

    Parameters
    ----------
    closes : DataFrame
        Its closed trades of this run mode in the record.
    open_trades : tuple of Trade or None
        From its database; None while that cannot be read (`problem`).
    unsynced : int or None
        Number of closed trades in its database minus their number in the record, at least 0; None while the database cannot be read.
    """

    bot: str
    run_mode: RunMode
    store_id: str
    closes: pd.DataFrame
    open_trades: tuple[Trade, ...] | None = None
    unsynced: int | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """Return the bot and its run mode, "GRID-7 (live)": another database may contain trades of the same bot in another run mode."""
        return f"{self.bot} ({self.run_mode.value})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Status of the fleet at one time: the platform's own bots (`bots`), and those of the fleet file (`watched`).

    `now` is market time. `anchor` is None before a home is seeded. `parameters` and `recommendation` are the newest published ones, also if
    they have expired, or the reason why there are none or they are rejected.
    """

    now: datetime
    wall_now: datetime
    anchor: ClockAnchor | None
    beats: tuple[Heartbeat, ...]
    bots: tuple[BotStatus, ...]
    watched: tuple[WatchedStatus, ...]
    parameters: Known[ParameterSet]
    recommendation: Known[Recommendation]

    @property
    def is_silent(self) -> bool:
        """Return whether the daemon never wrote a heartbeat, or its last one is older than `bot_state.STALE`."""
        return is_silent(self.daemon, wall_now=self.wall_now)

    def reported(self, name: str) -> str | float | int | bool | None:
        """Return a detail of the daemon's heartbeat by its name; None if the daemon is silent or the heartbeat lacks it."""
        return None if self.daemon is None or self.is_silent else self.daemon.detail.get(name)

    @property
    def daemon(self) -> Heartbeat | None:
        """Return the daemon's last heartbeat, however old; None if it never wrote one."""
        return daemon_beat(self.beats)


def read_fleet(home: FleetHome, *, busy_is_problem: bool = False) -> Fleet:
    """Read the status of the fleet.

    Parameters
    ----------
    busy_is_problem : bool
        If True, a busy store of a bot is that bot's `problem`, and the other bots are read; else StoreBusyError is raised, for callers that
        retry.

    Raises
    ------
    StoreError
        If the control store or the record cannot be read, or the daemon's heartbeat contains an unknown state of a bot.
    """
    ports = home.fleet_ports
    # One time for all bots: a slow read must not make the heartbeat too old between two of them.
    now, wall_now = ports.clock.now(), ports.clock.wall_now()
    return Fleet(
        now=now,
        wall_now=wall_now,
        anchor=ports.control.anchor(),
        beats=ports.control.heartbeats(),
        bots=tuple(_read_bot(home, name, now=now, wall_now=wall_now, busy_is_problem=busy_is_problem) for name in ports.bot_names),
        watched=tuple(_read_watched(home, reader, wall_now=wall_now) for reader in ports.fleet),
        parameters=known(lambda: ports.record.parameters.as_of(now)),
        recommendation=known(lambda: ports.record.recommendations.as_of(now)),
    )


def _read_bot(home: FleetHome, name: str, *, now: datetime, wall_now: datetime, busy_is_problem: bool) -> BotStatus:
    in_force = state_in_force(home.fleet_ports.control, name, wall_now=wall_now)
    try:
        store = home.fleet_ports.bot_store(name)
        # Read the bot's database before the record: a trade that closes in between is then only in the record, and too young to be counted.
        closes, trades = home.closes(name).frame(), tuple(store.open_trades())
    except StoreError as error:
        if isinstance(error, StoreBusyError) and not busy_is_problem:
            raise
        return BotStatus(bot=name, in_force=in_force, problem=str(error))
    recorded = recorded_closes(home.trades.frame()[0], bot=name, run_mode=RunMode.PAPER)
    gap = gap_of_closes(closes, recorded, until=now - SYNC_GRACE * home.fleet_ports.clock.speed)
    found = BotStatus(bot=name, in_force=in_force, store_id=store.store_id, open_trades=trades, closes=closes, gap=gap)
    return _with_history(found, home, busy_is_problem=busy_is_problem)


def _read_watched(home: FleetHome, reader: WatchedReader, *, wall_now: datetime) -> WatchedStatus:
    recorded = recorded_closes(home.trades.frame()[0], bot=reader.bot, run_mode=reader.run_mode)
    found = WatchedStatus(bot=reader.bot, run_mode=reader.run_mode, store_id=reader.store_id, closes=recorded)
    try:
        held = home.watched(reader).read(wall_now=wall_now)
    except DataError as error:
        return replace(found, problem=str(error))
    return replace(found, open_trades=held.open_trades, unsynced=max(held.closed - len(recorded), 0))


def _with_history(bot: BotStatus, home: FleetHome, *, busy_is_problem: bool) -> BotStatus:
    """Return a bot's status with `history_gap`. A history grows only when a home is seeded, so comparing the counts is enough."""
    try:
        closed = home.fleet_ports.history_store(bot.bot).count_closed(closed_since=None)
    except StoreError as error:
        if isinstance(error, StoreBusyError) and not busy_is_problem:
            raise
        return replace(bot, history_gap=None, history_problem=str(error))
    recorded = recorded_count(home.trades.counts(), bot=bot.bot, run_mode=RunMode.BACKTEST)
    return replace(bot, history_gap=gap_of_counts(closed, recorded))


def alerts(fleet: Fleet) -> list[Alert]:
    """Return the fleet's alerts, the severe ones first; empty if there is no problem."""
    found = [*_clock_alerts(fleet), *_beat_alerts(fleet), *_learning_alerts(fleet)]
    for bot in fleet.bots:
        found += _bot_alerts(bot)
        if not bot.in_force.is_reported and not fleet.is_silent:
            found.append(
                Alert(
                    key=f"untold|{bot.bot}",
                    text=f"{bot.bot}: the daemon is running, but its heartbeat does not report this bot.",
                    remedy="Restart it with `bot3 up`.",
                )
            )
    found += [_away(bot) for bot in fleet.watched if bot.problem]
    return sorted(found, key=lambda alert: not alert.is_severe)


def _away(bot: WatchedStatus) -> Alert:
    return Alert(
        key=f"away|{bot.bot}|{bot.run_mode.value}",
        text=f"{bot.name}: its database cannot be read: {bot.problem.rstrip('.')}.",
        remedy="Its open trades and its newest closed trades are unknown until it can be read; run `bot3 doctor` for details.",
        is_severe=False,
    )


def _clock_alerts(fleet: Fleet) -> list[Alert]:
    anchor = fleet.anchor
    if anchor is None or anchor.source is ClockSource.WALL:
        return []
    if not anchor.is_running:
        return [
            Alert(
                key="clock|stands",
                text=f"The market clock is paused at {fmt.stamp(anchor.market_at)}.",
                remedy="Start everything with `bot3 up`.",
            )
        ]
    if anchor.ends_at is not None and fleet.now >= anchor.ends_at:
        text = f"The replayed candles ended at {fmt.stamp(anchor.ends_at)}: trading has ended."
        return [Alert(key="clock|ended", text=text, remedy="Set BOT3_CANDLES to newer candles.", is_severe=False)]
    return []


def _beat_alerts(fleet: Fleet) -> list[Alert]:
    beat = fleet.daemon
    if beat is None:
        return [Alert(key="daemon", text="The execution daemon never sent a heartbeat: no bot trades.", remedy="Start it with `bot3 up`.")]
    if fleet.is_silent:
        text = f"The execution daemon is silent: its last heartbeat is {fmt.age(beat.wall_at, now=fleet.wall_now)} (wall time)."
        return [Alert(key="daemon", text=text, remedy="Check `bot3 status`, then start it with `bot3 up`.")]
    return []


def _learning_alerts(fleet: Fleet) -> list[Alert]:
    found = []
    for noun, learned in (("Parameters", fleet.parameters), ("Recommendations", fleet.recommendation)):
        if learned.value is None:
            found.append(
                Alert(
                    key=noun.lower(),
                    text=f"{noun}: {learned.problem}.",
                    remedy="Without them BOT3 enters no trades; on paper, before the first publication, only trades of the smallest size.",
                )
            )
            continue
        try:
            learned.value.require_fresh(now=fleet.now)
        except LearningError:
            text = f"{noun} {fmt.version(learned.value.version)} expired {fmt.age(learned.value.expires_at, now=fleet.now)} (market time)."
            found.append(
                Alert(
                    key=noun.lower(),
                    text=text,
                    remedy="BOT3 enters no trades with them. Run `bot3 learn run`, and check that Dagster's daemon runs.",
                )
            )
    return found


def _bot_alerts(bot: BotStatus) -> list[Alert]:
    found = []
    if bot.problem:
        hidden = (*_gap_keys(bot.bot, "own database"), *_gap_keys(bot.bot, "history"), f"history|{bot.bot}")
        found.append(
            Alert(key=f"problem|{bot.bot}", text=f"{bot.bot}: {bot.problem}.", remedy="Run `bot3 doctor` for details.", hides=hidden)
        )
    state = bot.in_force
    if state.state is not TradingState.ACTIVE:
        found.append(
            Alert(
                key=f"{state.state.value}|{bot.bot}",
                text=f"{bot.bot} is {state.state.value}: {state.reason or 'no reason was given'}.",
                remedy=_way_back(bot),
            )
        )
    found += _gap_alerts(bot.bot, "own database", bot.gap, older=f", older than {fmt.span(SYNC_GRACE)} of wall time")
    if bot.history_gap is None:
        text = f"{bot.bot}: its history cannot be compared with the record: {bot.history_problem}."
        hidden = _gap_keys(bot.bot, "history")
        found.append(Alert(key=f"history|{bot.bot}", text=text, remedy="Run `bot3 doctor` for details.", is_severe=False, hides=hidden))
    else:
        found += _gap_alerts(bot.bot, "history", bot.history_gap)
    return found


def _gap_alerts(bot: str, source: str, gap: Gap, *, older: str = "") -> list[Alert]:
    remedy = "Is Dagster's daemon running? `bot3 learn run` compares both and corrects the record."
    told = (
        ("missing", gap.missing, f"closes of its {source} are not in the record{older}"),
        ("surplus", gap.surplus, f"closes in the record are not in its {source}{older}"),
    )
    return [
        Alert(key=f"{way}|{source}|{bot}", text=f"{bot}: {fmt.count(count)} {what}.", remedy=remedy) for way, count, what in told if count
    ]


def _gap_keys(bot: str, source: str) -> tuple[str, ...]:
    return tuple(f"{way}|{source}|{bot}" for way in ("missing", "surplus"))


def _way_back(bot: BotStatus) -> str:
    what = "trades nothing" if bot.in_force.state is TradingState.HALTED else "only reduces"
    if bot.in_force.is_latched:
        return f"It {what}. Once the cause is corrected: `bot3 resume {bot.bot}`."
    return (
        f"It {what} until the cause ends; `bot3 resume {bot.bot}` ends the limit after a daily loss, but not the effect of the file HALT."
    )


def halted(states: Mapping[str, StateInForce]) -> str:
    """Return a text with the bots whose trading state is not ACTIVE, and these states.

    If there are none: "state unknown" with the bots that no recent heartbeat of the daemon reports, or `ALL_ACTIVE` if it reports all.
    """
    stopped = [f"{bot} {found.state.value}" for bot, found in states.items() if found.state is not TradingState.ACTIVE]
    if stopped:
        return ", ".join(stopped)
    untold = [bot for bot, found in states.items() if not found.is_reported]
    return f"state unknown: {', '.join(untold)}" if untold else ALL_ACTIVE
