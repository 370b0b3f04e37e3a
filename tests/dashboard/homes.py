"""Homes for tests of the dashboard, filled through the real stores."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from bot3.learning.replay.groups import parent_groups
from bot3.market.regimes import Regime, RegimeState
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat
from bot3.settings import Settings, load_settings
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.orders import ENTRY_CONTEXT, Decision, Fill, Intent, IntentLeg, IntentState, OrderSide, OrderType
from bot3.trading.parameters import ExitParameters, ParameterSet, ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import ExitReason, RunMode, Trade
from bot3.usecases.learning.sync_trades import sync_trades
from bot3.wiring import SIMULATED_START, Platform, open_platform
from tests.learned import a_model, a_recommendation, a_row, a_score, a_set

NOW = SIMULATED_START + timedelta(days=30, hours=13)
PAIRS = ("ALFA/USDT:USDT", "BRAVO/USDT:USDT")
CELL = f"{PAIRS[0]}|long|2.0-3.5"


def settings_of(home: Path) -> Settings:
    return load_settings({}, env_file=home / "no.env", home=home)


def make_home(home: Path, *, trades_per_bot: int = 60, beats: bool = True) -> Settings:
    """Fill a home: a clock stopped at `NOW`, histories, paper trades, learning, heartbeats."""
    settings = settings_of(home)
    with open_platform(settings) as platform:
        wall = platform.clock.wall_now()
        anchor = ClockAnchor(source=ClockSource.SIMULATED, wall_at=wall, market_at=NOW, speed=1.0, is_running=True)
        platform.control.set_anchor(anchor)
        if beats:
            platform.control.beat(a_beat(wall))
        for bot in platform.bot_names:
            _fill_bot(platform, bot, count=trades_per_bot)
        _fill_learning(platform)
    (home / "home.json").write_text(json.dumps({"source": "test"}), encoding="utf-8")
    return settings


def a_beat(wall: datetime, **changes: str) -> Heartbeat:
    started = wall - timedelta(minutes=5)
    detail: dict[str, str | float | int | bool | None] = {
        "parameters_version": "v2",
        "open_trades": 1,
        "last_candle": NOW.isoformat(),
        "BOT1_equity_abs": 10_012.5,
        **{f"{bot}_state": "active" for bot in ("BOT1", "BOT2", "BOT3")},
        **changes,
    }
    return Heartbeat(process="execution", pid=4242, started_at=started, wall_at=wall, market_at=NOW, state="trading", detail=detail)


def _fill_bot(platform: Platform, bot: str, *, count: int) -> None:
    history, own = platform.history_store(bot), platform.bot_store(bot)
    history.import_trades(closes(bot, run_mode=RunMode.BACKTEST, account=history.account, count=count, seed=1))
    own.import_trades(closes(bot, run_mode=RunMode.PAPER, account=own.account, count=count, seed=2))
    if bot == "BOT3":
        trade_with_orders(platform)
    sync_trades(history, platform.record.trades, run_mode=RunMode.BACKTEST)
    sync_trades(own, platform.record.trades, run_mode=RunMode.PAPER)


def closes(bot: str, *, run_mode: RunMode, account: str, count: int, seed: int, first_id: int = 100) -> list[Trade]:
    """Return closed trades at equal intervals up to an hour before `NOW`."""
    rng = np.random.default_rng(seed)
    step = timedelta(days=25) / max(count, 1)
    profits = rng.normal(0.004, 0.03, count)
    reasons = [reason.value for reason in (ExitReason.ROI, ExitReason.STOP_LOSS, ExitReason.GIVEBACK, ExitReason.TIME_EXIT)]
    return [
        Trade(
            bot=bot,
            run_mode=run_mode,
            account=account,
            trade_id=first_id + number,
            pair=PAIRS[number % 2],
            is_short=bot == "BOT2" or (bot == "BOT3" and number % 3 == 0),
            leverage=(1.5, 3.0, 4.0, 6.0, 10.0)[number % 5],
            open_date=NOW - step * (count - number) - timedelta(hours=4),
            open_rate=100.0,
            amount=3.0,
            stake_amount=100.0,
            fee_open=0.0005,
            fee_close=0.0005,
            enter_tag=FEEDER_IDS[number % 10],
            is_open=False,
            close_date=NOW - step * (count - number) - timedelta(hours=1),
            close_rate=100.0 * (1.0 + float(profits[number]) / 3.0),
            close_profit=float(profits[number]),
            close_profit_abs=100.0 * float(profits[number]),
            exit_reason=reasons[number % 4],
            initial_stop_loss_pct=-0.03,
            stop_loss_pct=-0.03,
            horizon=Horizon.DAY,
        )
        for number in range(count)
    ]


def trade_with_orders(platform: Platform) -> None:
    """Write one closed and one open trade of BOT3 through its journal."""
    store = platform.bot_store("BOT3")
    at = NOW - timedelta(hours=3)
    context: dict[str, str | float | None] = dict.fromkeys(ENTRY_CONTEXT, None) | {
        "feeder_id": "F03", "confidence": 0.61, "parameters_key": CELL, "parameters_version": "v2",
        "stop_rate": 99.0, "take_profit_rate": 102.0, "stop_loss": -0.03, "regime": "sideways", "tier": "probe", "horizon": "24h",
    }  # fmt: skip
    for number, pair in enumerate(PAIRS, start=1):
        entry = Intent(
            account=store.account, bot="BOT3", pair=pair, candle_close_time=at, leg=IntentLeg.ENTRY, side=OrderSide.BUY,
            order_type=OrderType.MARKET, amount=Decimal(3), leverage=3.0, reduce_only=False, trade_id=number, context=context,
        )  # fmt: skip
        leave = replace(
            entry, leg=IntentLeg.EXIT, side=OrderSide.SELL, reduce_only=True, context={"exit_reason": "time_exit"},
            candle_close_time=at + timedelta(hours=1),
        )  # fmt: skip
        for intent in (entry, leave)[: 2 if number == 1 else 1]:
            store.plan_intent(intent)
            store.move_intent(intent.client_order_id, state=IntentState.SENT, sent_at=datetime(2026, 1, 1, tzinfo=UTC))
            store.book([_fill(intent, number=number * 10 + len(intent.leg))], [])
            store.move_intent(intent.client_order_id, state=IntentState.DONE)


def reject_an_entry(platform: Platform) -> None:
    """Write an entry of BOT3 that the exchange rejects."""
    store = platform.bot_store("BOT3")
    entry = Intent(
        account=store.account, bot="BOT3", pair=PAIRS[0], candle_close_time=NOW - timedelta(minutes=5), leg=IntentLeg.ENTRY,
        side=OrderSide.BUY, order_type=OrderType.MARKET, amount=Decimal(3), leverage=3.0, reduce_only=False, trade_id=9,
        context=dict.fromkeys(ENTRY_CONTEXT) | {"feeder_id": "F04", "horizon": "24h"},
    )  # fmt: skip
    decision = Decision(
        bot="BOT3", pair=entry.pair, candle_close_time=entry.candle_close_time, feeder_id="F04", is_short=False, confidence=0.6,
        outcome="intent", reason="entry", detail=entry.context, client_order_id=entry.client_order_id,
    )  # fmt: skip
    store.record_decisions([decision])
    store.plan_intent(entry)
    store.move_intent(entry.client_order_id, state=IntentState.REJECTED, sent_at=NOW, reject_reason="margin is too small")


def _fill(intent: Intent, *, number: int) -> Fill:
    return Fill(
        exchange="paper", account=intent.account, exchange_trade_id=str(number), client_order_id=intent.client_order_id, pair=intent.pair,
        side=intent.side, rate=Decimal(100 if intent.leg is IntentLeg.ENTRY else 101), amount=intent.amount, fee_abs=Decimal("0.15"),
        is_maker=False, filled_at=intent.candle_close_time,
    )  # fmt: skip


def parameters(version: str, *, known_at: datetime, stop_loss: float = -0.04) -> ParameterSet:
    cells = [(pair, side, name) for pair in PAIRS for side in ("long", "short") for name in DEFAULT_BINS.names]
    rows = [
        _row(group, number=number, stop_loss=stop_loss, known_at=known_at)
        for number, group in enumerate([*parent_groups(cells, bins=DEFAULT_BINS), *cells])
    ]
    factors = {Regime.VOLATILE: (1.2, 0.9), Regime.SIDEWAYS: (0.95, 0.9), Regime.BULL_TRENDING: (1.0, 1.1)}
    return a_set(version, *rows, known_at=known_at, regime_factors=factors)


def _row(group: tuple[str, str, str], *, number: int, stop_loss: float, known_at: datetime) -> ExitParameters:
    pair, side, leverage_bin = group
    has_trades = number % 4 != 0
    return a_row(
        pair=pair,
        direction=side,
        leverage_bin=leverage_bin,
        # At a mean sigma of 0.01 and leverage of 5.
        stop_sigma=(stop_loss - 0.002 * (number % 7)) / 0.05,
        take_profit_sigma=(0.03 + 0.004 * (number % 5)) / 0.05,
        trades_count=0 if not has_trades else number * 3,
        replays_count=0 if not has_trades else number * 2,
        win_rate=0.52 if has_trades else None,
        avg_profit=0.002 if has_trades else None,
        profit_factor=1.1 if has_trades else None,
        own_share=0.4 if has_trades else 0.0,
        state=list(ParameterState)[number % 3],
        known_at=known_at,
        parent="static" if group == ("*", "*", "*") else "*|*|*",
    )


def _fill_learning(platform: Platform) -> None:
    record = platform.record
    record.parameters.publish(parameters("v1", known_at=NOW - timedelta(days=2)), replaces=None, is_full=True)
    newer = parameters("v2", known_at=NOW - timedelta(hours=4), stop_loss=-0.035)
    record.parameters.publish(newer, replaces="v1", is_full=True)
    known_at = NOW - timedelta(minutes=5)
    record.feeder_scores.publish(_scores(known_at))
    record.recommendations.publish(a_recommendation("m1", known_at=known_at))
    record.regimes.publish(_states())
    for number, feeder in enumerate(FEEDER_IDS):
        model = a_model(f"digest-{feeder}", known_at=NOW - timedelta(days=3))
        record.models.register(replace(model, feeder_id=feeder, log_loss_oof=0.690 + 0.001 * number))


def publish_censored(home: Path, pair: str) -> None:
    """Publish parameters under which longs of a pair may not trade, 14 of whose 80 closes are missing from the evidence."""
    with open_platform(settings_of(home)) as platform:
        last = platform.record.parameters.as_of(NOW)
        counts = {"trades_count": 80, "left_out_count": 10, "late_count": 4, "is_censored": True}
        rows = {
            key: replace(row, version="v3", **counts) if (row.pair, row.direction) == (pair, "long") else replace(row, version="v3")  # type: ignore[arg-type]
            for key, row in last.rows.items()
        }
        newer = replace(last, version="v3", rows=rows, known_at=NOW - timedelta(minutes=1))
        platform.record.parameters.publish(newer, replaces=last.version, is_full=True)


def _scores(known_at: datetime) -> list[FeederScore]:
    found = []
    for regime in ("*", "sideways", "volatile"):
        for number, feeder in enumerate(FEEDER_IDS):
            score = a_score(feeder, regime=regime, rank=number + 1, known_at=known_at)
            tier = FeederTier.PROBE if number < 7 else FeederTier.SHADOW
            shift = 0.0004 * number
            moved = replace(score, expectancy=0.001 - shift, lower_bound=-0.0005 - shift, upper_bound=0.0024 - shift)
            found.append(replace(moved, tier=tier, n_window=2 * number, win_rate_window=0.5))
    return found


def _states() -> list[RegimeState]:
    rng = np.random.default_rng(3)
    hours = 24 * 25
    states = []
    for hour in range(hours):
        weights = rng.dirichlet([2.0, 1.0, 4.0, 1.0])
        known_at = NOW.replace(minute=0) - timedelta(hours=hours - 1 - hour)
        four = (float(weights[0]), float(weights[1]), float(weights[2]), float(weights[3]))
        since = known_at - timedelta(hours=hour % 40)
        states.append(
            RegimeState(regime=Regime.SIDEWAYS, probabilities=four, since=since, known_at=known_at, computed_at=known_at, version="r1")
        )
    return states
