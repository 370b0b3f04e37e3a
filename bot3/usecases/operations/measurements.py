"""The metrics, one function per query; a function raises the store's error if it cannot be read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot3.errors import LearningError
from bot3.ports.control import TradingState
from bot3.ports.learning import InForce
from bot3.ports.metrics import Family
from bot3.ports.notices import NoticeStore
from bot3.ports.publisher import OutboxSpan
from bot3.trading.figures import MoneyFigures, notional_sums, summary
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederTier, Recommendation
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.bot_state import daemon_beat, is_silent, last_candle, state_in_force
from bot3.usecases.fleet.home import FleetHome, FleetPorts
from bot3.usecases.fleet.watched_trades import WatchedReader
from bot3.usecases.learning.relearn import TradeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The platform that is measured.

    Parameters
    ----------
    stake_currency : str
        Currency of the paper wallets of the platform's own bots.
    build : mapping
        Names and values that identify the running build and its mode.
    sources : callable
        Returns the sources of closed trades, including databases of other programs.
    outbox : callable or None
        Returns the span of the record's writes that are not published to InfluxDB yet, or None if all are published. None in place of the
        callable: the home does not publish to InfluxDB.
    """

    ports: FleetPorts
    notices: NoticeStore
    directory: Path
    stake_currency: str
    build: Mapping[str, str]
    sources: Callable[[], Sequence[TradeSource]]
    outbox: Callable[[], OutboxSpan | None] | None

    def wall_now(self) -> datetime:
        """Return the wall time."""
        return self.ports.clock.wall_now()


def build(subject: Subject) -> Iterator[Family]:
    """Yield a constant metric whose labels identify the running build."""
    names = tuple(sorted(subject.build))
    values = tuple(subject.build[name] for name in names)
    yield Family(name="bot3_build_info", help="Always 1; its labels identify the running build.", labels=names, samples={values: 1.0})


def processes(subject: Subject) -> Iterator[Family]:
    """Yield the age of every process' heartbeat."""
    now = subject.wall_now()
    beats = subject.ports.control.heartbeats()
    ages: dict[tuple[str, ...], float] = {(beat.process,): (now - beat.wall_at).total_seconds() for beat in beats}
    yield Family(
        name="bot3_heartbeat_age_seconds",
        help="Wall time since a process sent its last heartbeat; a process that never sent one is absent.",
        labels=("process",),
        samples=ages,
    )


def clock(subject: Subject) -> Iterator[Family]:
    """Yield whether the market clock runs, and its speed; nothing before a home is seeded."""
    anchor = subject.ports.control.anchor()
    if anchor is None:
        return
    yield _plain("bot3_market_clock_running", "1 while the market clock runs, 0 while it is paused.", float(anchor.is_running))
    yield _plain("bot3_market_clock_speed_ratio", "Market seconds per wall second.", anchor.speed)


def states(subject: Subject) -> Iterator[Family]:
    """Yield each own bot's trading state (the stricter of the stored and the reported one), and whether the daemon reports one."""
    now = subject.wall_now()
    found = {bot: state_in_force(subject.ports.control, bot, wall_now=now) for bot in subject.ports.bot_names}
    yield Family(
        name="bot3_trading_state",
        help="1 for the state of a bot (its latch, or the daemon's state if stricter), 0 for the others.",
        labels=("bot", "state"),
        samples={(bot, state.value): float(one.state is state) for bot, one in found.items() for state in TradingState},
    )
    yield Family(
        name="bot3_trading_state_told",
        help="1 while the running daemon reports a bot's state, 0 while only its latch is known.",
        labels=("bot",),
        samples={(bot,): float(one.is_reported) for bot, one in found.items()},
    )


def daemon(subject: Subject) -> Iterator[Family]:
    """Yield the age of the last candle that the daemon decided on, and the bots' equity, from its heartbeat; nothing if it is silent."""
    beat = daemon_beat(subject.ports.control.heartbeats())
    if beat is None or is_silent(beat, wall_now=subject.wall_now()):
        return
    candle = last_candle(beat)
    if candle is not None:
        told = "Market time since the close of the candle that the daemon decided on last, of its slowest bot."
        yield _plain("bot3_candle_age_seconds", told, (subject.ports.clock.now() - candle).total_seconds())
    equity = {(bot, subject.stake_currency): beat.detail.get(f"{bot}_equity_abs") for bot in subject.ports.bot_names}
    yield Family(
        name="bot3_equity",
        help="Equity of a bot's paper wallet with open profit, from the daemon's newest heartbeat, in the currency of the label.",
        labels=("bot", "currency"),
        samples={bot: float(value) for bot, value in equity.items() if isinstance(value, int | float)},
    )


def positions(subject: Subject, bot: str) -> Iterator[Family]:
    """Yield the number and notional of an own bot's open trades, from its own database."""
    yield from _positions(bot, RunMode.PAPER, subject.ports.bot_store(bot).open_trades())


def watched_positions(subject: Subject, home: FleetHome, reader: WatchedReader) -> Iterator[Family]:
    """Yield the number and notional of the open trades of a bot of the fleet file, from its database.

    Raises DataError while the database cannot be read.
    """
    yield from _positions(reader.bot, reader.run_mode, home.watched(reader).read(wall_now=subject.wall_now()).open_trades)


def _positions(bot: str, mode: RunMode, trades: Sequence[Trade]) -> Iterator[Family]:
    yield Family(
        name="bot3_open_positions",
        help="Open positions, from the bot's own database.",
        labels=("bot", "run_mode"),
        samples={(bot, mode.value): float(len(trades))},
    )
    yield Family(
        name="bot3_open_notional",
        help="Position value of a bot's open trades at entry, in the currency of the label.",
        labels=("bot", "run_mode", "currency"),
        samples={(bot, mode.value, currency): held for currency, held in notional_sums(trades).items()},
    )


def realised(home: FleetHome) -> Iterator[Family]:
    """Yield the results of the record's closed trades by bot and run mode: money by stake currency, and the mean of the trades' ratios."""
    frame, _ = home.trades.frame()
    found = {(str(bot), str(mode)): summary(closes) for (bot, mode), closes in frame.groupby(["bot", "run_mode"])} if len(frame) else {}
    money = {(*key, one.currency): one for key, of in found.items() for one in of.money}
    labels = ("bot", "run_mode", "currency")
    told: tuple[tuple[str, str, Callable[[MoneyFigures], float | None]], ...] = (
        ("bot3_realised_profit", "Sum of close_profit_abs, in the currency of the label.", lambda one: one.profit_abs),
        ("bot3_closed_stake", "Sum of the stakes of closed trades, in the currency of the label.", lambda one: one.stake_abs),
        ("bot3_return_on_stake_ratio", "Sum of profit over sum of stake.", lambda one: one.return_on_stake.value),
        ("bot3_profit_factor", "Sum of gains over sum of losses, in money; absent without a loss.", lambda one: one.profit_factor),
    )
    for name, text, value in told:
        samples: dict[tuple[str, ...], float] = {key: number for key, one in money.items() if (number := value(one)) is not None}
        yield Family(name=name, help=f"{text} Closed trades in the record.", labels=labels, samples=samples)
    means: dict[tuple[str, ...], float] = {key: of.mean_profit.value for key, of in found.items() if of.mean_profit.value is not None}
    text = "Mean of the trades' ratios of the stake, each trade with the same weight. Closed trades in the record."
    yield Family(name="bot3_mean_profit_ratio", help=text, labels=("bot", "run_mode"), samples=means)


def record(subject: Subject) -> Iterator[Family]:
    """Yield the record's revision and its numbers of closed trades."""
    yield _plain("bot3_record_revision", "Writes to the record so far.", float(subject.ports.record.revision()))
    counts = subject.ports.record.trades.counts()
    rows = zip(counts["bot"], counts["run_mode"], counts["trades"], strict=True)
    yield Family(
        name="bot3_closed_trades",
        help="Closed trades in the record, deleted ones left out.",
        labels=("bot", "run_mode"),
        samples={(str(bot), str(mode)): float(trades) for bot, mode, trades in rows},
    )


def learning(subject: Subject) -> Iterator[Family]:
    """Yield the age of the published parameters and recommendation, the time until they expire, and their lifetime.

    Missing or invalid ones are left out; expired ones are not.
    """
    now, speed = subject.ports.clock.now(), subject.ports.clock.speed
    ages: dict[tuple[str, ...], float] = {}
    left: dict[tuple[str, ...], float] = {}
    lives: dict[tuple[str, ...], float] = {}
    readers: dict[str, InForce[ParameterSet | Recommendation]] = {
        "parameters": subject.ports.record.parameters,
        "recommendation": subject.ports.record.recommendations,
    }
    for noun, reader in readers.items():
        try:
            held = reader.as_of(now)
        except LearningError:
            continue  # nothing valid is published: the metric is absent, which is not a failed query
        ages[noun,] = (subject.wall_now() - held.computed_at).total_seconds()
        left[noun,] = (held.expires_at - now).total_seconds() / speed
        lives[noun,] = (held.expires_at - held.known_at).total_seconds() / speed
    yield Family(name="bot3_learning_age_seconds", help="Wall time since it was computed.", labels=("noun",), samples=ages)
    told = "Wall time until it expires at the market clock's speed; below 0: it has expired, and BOT3 enters no trades."
    yield Family(name="bot3_learning_expiry_seconds", help=told, labels=("noun",), samples=left)
    told = "Wall time from its publication to its expiry, at the market clock's speed."
    yield Family(name="bot3_learning_life_seconds", help=told, labels=("noun",), samples=lives)


def feeders(subject: Subject) -> Iterator[Family]:
    """Yield the number of feeders by tier, from their scores over all regimes; nothing if no valid scores are published."""
    try:
        scores = subject.ports.record.feeder_scores.as_of(subject.ports.clock.now())
    except LearningError:
        return
    tiers = Counter(score.tier for score in scores if score.regime == "*")
    yield Family(
        name="bot3_feeders",
        help="Feeders by tier, over all regimes.",
        labels=("tier",),
        samples={(tier.value,): float(tiers[tier]) for tier in FeederTier},
    )


def notices(subject: Subject) -> Iterator[Family]:
    """Yield how many notices are pending, whether deliveries are rejected, and how many notices were lost."""
    yield _plain("bot3_notices_waiting", "Messages to people that are not delivered yet.", float(subject.notices.waiting()))
    refusals = subject.notices.refusals()
    yield _plain(
        "bot3_notifier_refused", "1 while Telegram rejects the token or the chat: no message is delivered.", float(bool(refusals.problem))
    )
    yield _plain("bot3_notices_dropped", "Messages of the last 30 days that were rejected for their text: lost.", float(refusals.dropped))


def outbox(subject: Subject) -> Iterator[Family]:
    """Yield how far the copy in InfluxDB is behind the record; nothing if the home does not publish there."""
    if subject.outbox is None:
        return
    # Read the revision first: what is written in between counts as pending.
    revision, span = subject.ports.record.revision(), subject.outbox()
    told = "Writes of the record that are not published to InfluxDB yet."
    yield _plain("bot3_outbox_waiting_writes", told, float(0 if span is None else span.writes))
    told = "Revision of the record up to which everything is published to InfluxDB."
    yield _plain("bot3_published_revision", told, float(revision if span is None else span.since))


def home(subject: Subject) -> Iterator[Family]:
    """Yield free space and size of the home's disk, and whether the file HALT, which stops all own bots, exists."""
    usage = shutil.disk_usage(subject.directory)
    yield _plain("bot3_disk_free_bytes", "Free space on the disk of the home.", float(usage.free))
    yield _plain("bot3_disk_size_bytes", "Size of the disk of the home.", float(usage.total))
    yield _plain("bot3_halt_file", "1 while the flag file HALT stops every bot.", float((subject.directory / "HALT").exists()))


def _plain(name: str, told: str, value: float) -> Family:
    return Family(name=name, help=told, samples={(): value})
