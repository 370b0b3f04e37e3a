"""The paper account: the same trade earns the same as in a backtest, and a kill loses nothing."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot3.adapters.paper.exchange import PaperExchange
from bot3.errors import ExchangeBusyError, StoreError
from bot3.market.candles import CANDLE_COLUMNS
from bot3.trading.backtest import backtest
from bot3.trading.exit_law import stop_at_open
from bot3.trading.exit_rules import ExitRule, ExitRules
from bot3.trading.exits import decide_exit
from bot3.trading.ledger import project_trade
from bot3.trading.orders import Intent, IntentLeg, OrderSide, OrderType, Position
from bot3.trading.profiles import BotProfile
from bot3.trading.trades import RunMode, Trade
from bot3.trading.units import side
from tests.clocks import MovableClock
from tests.journals import ACCOUNT, an_intent
from tests.markets import (
    BTC,
    CANDLE,
    COSTS,
    FIRST,
    FixedMarkets,
    FrameCandles,
    a_market,
    a_profile,
    arrays,
    candle_frame,
    funding_frame,
    random_candles,
)

RULES = ExitRules(giveback_activation_sigma=0.5)
LENGTH, LATENCY = 160, timedelta(seconds=1.5)
QUIET = (100.0, 100.2, 99.8, 100.0)


def paper(path: Path, candles: FrameCandles, clock: MovableClock, **changes: Any) -> PaperExchange:
    inputs: dict[str, Any] = {"account": ACCOUNT, "wallet_abs": 10_000.0, "markets": FixedMarkets(a_market()), "costs": COSTS}
    return PaperExchange(path, candles=candles, clock=clock, **{**inputs, **changes})


@dataclass
class PaperBot:
    """The least of a daemon: enters once, protects, looks at every closed candle, and keeps its intents."""

    exchange: PaperExchange
    clock: MovableClock
    frame: pd.DataFrame
    intents: list[Intent] = field(default_factory=list)

    def enter(self, opened: Intent, *, stop: Decimal, target: Decimal) -> None:
        self._send(opened)
        closing = OrderSide.SELL if opened.side is OrderSide.BUY else OrderSide.BUY
        resting = ((IntentLeg.STOP, OrderType.STOP_MARKET, stop), (IntentLeg.TARGET, OrderType.TAKE_PROFIT_MARKET, target))
        for leg, order_type, rate in resting:
            self._send(_closing(opened, leg=leg, side=closing, order_type=order_type, trigger_rate=rate))

    def close_candle(self, index: int) -> None:
        """Let the candle of an index close; leave at market if its close says so."""
        self.clock.move((FIRST + (index + 1) * CANDLE + LATENCY - self.clock.now()).total_seconds())
        positions = self.exchange.fetch_positions()
        if not positions:
            return
        opened = self.intents[0]
        is_short = opened.side is OrderSide.SELL
        seen = self.frame.iloc[self._entry : index + 1]
        reason = decide_exit(
            ExitRule.of_context(opened.context),
            is_short=is_short,
            open_rate=float(positions[0].open_rate),
            best_rate=float(seen["low"].min() if is_short else seen["high"].max()),
            close_rate=float(self.frame["close"].iloc[index]),
            candle_close_time=FIRST + (index + 1) * CANDLE,
        )
        if reason is None:
            self._tighten(float(seen["low"].min() if is_short else seen["high"].max()), positions[0])
        elif index + 1 < len(self.frame):
            exit_intent = _closing(opened, leg=IntentLeg.EXIT, side=OrderSide.BUY if is_short else OrderSide.SELL)
            self._send(exit_intent, context={"exit_reason": reason.value})

    def _tighten(self, best_rate: float, position: Position) -> None:
        """Move the stop as the daemon does: the new one is placed before the old one is cancelled."""
        stop = [intent for intent in self.intents if intent.leg is IntentLeg.STOP][-1]
        assert stop.trigger_rate is not None
        moved = a_market().break_even_rate(float(position.open_rate), is_short=position.is_short, costs=COSTS)
        rule = ExitRule.of_context(self.intents[0].context)
        opened = float(self.exchange.fetch_rate(BTC)) if rule.break_even_activation_move < math.inf else math.nan
        state = (float(position.open_rate), best_rate, float(moved))
        before = float(stop.trigger_rate)
        if stop_at_open(side(is_short=position.is_short), before, opened, state, rule.numbers) != before:
            self._send(replace(stop, trigger_rate=moved, attempt=2))
            self.exchange.cancel_order(pair=BTC, client_order_id=stop.client_order_id)

    def trade(self) -> Trade:
        fills, funding = self.exchange.fetch_fills(since=FIRST), self.exchange.fetch_funding(since=FIRST)
        ledger = project_trade(bot="BOT1", run_mode=RunMode.PAPER, intents=self.intents, fills=fills, funding=funding)
        assert ledger is not None
        return ledger.trade

    @property
    def _entry(self) -> int:
        return (self.intents[0].candle_close_time - FIRST) // CANDLE

    def _send(self, intent: Intent, *, context: dict[str, str] | None = None) -> None:
        if context is not None:
            intent = Intent(**{**{name: getattr(intent, name) for name in Intent.__slots__}, "context": context})
        self.exchange.create_order(intent)
        self.intents.append(intent)


def _closing(opened: Intent, *, leg: IntentLeg, side: OrderSide, **changes: Any) -> Intent:
    values = {name: getattr(opened, name) for name in Intent.__slots__}
    given = {"leg": leg, "side": side, "order_type": OrderType.MARKET, "reduce_only": True, **changes}
    return Intent(**{**values, **given})


def both_trades(
    frame: pd.DataFrame, funding: pd.DataFrame, *, profile: BotProfile, sigma: float, is_short: bool
) -> tuple[Trade | None, Trade]:
    """Return one trade as a backtest and as the paper account make it; the backtest's is None where it is still open at the end."""
    entry, market = 20, a_market()
    known_at = FIRST + entry * CANDLE
    signals = pd.DataFrame(
        {
            "feeder_id": ["F01"],
            "pair": BTC,
            "is_short": is_short,
            "confidence": 0.6,
            "candle_open_time": pd.Series([known_at - CANDLE], dtype="datetime64[us, UTC]"),
            "known_at": pd.Series([known_at], dtype="datetime64[us, UTC]"),
            "model_digest": "d1",
            "horizon": "24h",
        }
    )
    span = {"start": FIRST, "end": FIRST + (LENGTH + 1) * CANDLE}
    candles = {BTC: arrays(frame, funding, sigma=sigma)}
    result = backtest(signals, candles, profile, markets={BTC: market}, costs=COSTS, candle=CANDLE, **span)
    opened = backtest(signals, candles, profile, markets={BTC: market}, costs=COSTS, candle=CANDLE, start=FIRST, end=known_at + CANDLE / 2)
    (held,) = opened.state.open_trades
    clock = MovableClock(known_at + LATENCY)
    with TemporaryDirectory() as folder:
        exchange = paper(Path(folder) / "paper.sqlite", FrameCandles({BTC: frame}, {BTC: funding}), clock)
        bot = PaperBot(exchange, clock, frame)
        intent = held.plan.entry_intent(account=ACCOUNT, bot="BOT1", trade_id=1)
        bot.enter(intent, stop=held.plan.stop_rate, target=held.plan.take_profit_rate)
        for index in range(entry, LENGTH):
            bot.close_candle(index)
        trade = bot.trade()
        exchange.close()
    return (result.trades[0] if result.trades else None), trade


def wide_profile(*, stop_loss: float, take_profit: float, hours: float, rules: ExitRules = RULES) -> BotProfile:
    profile = {"stop_loss": stop_loss, "take_profit": take_profit, "longest_trade": timedelta(hours=hours), "exit_rules": rules}
    limits = a_profile().limits
    collar = type(limits)(**{**{name: getattr(limits, name) for name in type(limits).__slots__}, "price_collar": 0.9})
    return a_profile(directions=frozenset({"long", "short"}), limits=collar, **profile)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    is_short=st.booleans(),
    sigma=st.floats(0.012, 0.15),
    levels=st.tuples(st.floats(-0.4, -0.02), st.floats(0.02, 0.6)),
    hours=st.sampled_from([1.0, 4.0, 24.0]),
    break_even=st.sampled_from([math.inf, 0.2]),
)
@example(seed=1, is_short=True, sigma=0.02, levels=(-0.4, 0.6), hours=4.0, break_even=math.inf)
def test_a_trade_given_the_same_candles_then_earns_the_same_in_backtest_and_paper(
    *, seed: int, is_short: bool, sigma: float, levels: tuple[float, float], hours: float, break_even: float
) -> None:
    frame = random_candles(seed, candles=LENGTH)
    rng = np.random.default_rng(seed)
    times = [FIRST + timedelta(minutes=5 * int(index), milliseconds=int(rng.integers(0, 3))) for index in range(0, LENGTH, 16)]
    funding = funding_frame(times, rng.normal(0.0, 0.002, len(times)).tolist())
    rules = replace(RULES, break_even_activation_sigma=break_even)
    profile = wide_profile(stop_loss=levels[0], take_profit=levels[1], hours=hours, rules=rules)

    tested, traded = both_trades(frame, funding, profile=profile, sigma=sigma, is_short=is_short)

    if tested is None:
        assert traded.is_open
        return
    assert traded.close_profit == pytest.approx(tested.close_profit, abs=1e-9)
    assert traded.close_profit_abs == pytest.approx(tested.close_profit_abs, abs=1e-6)
    assert (traded.exit_reason, traded.amount, traded.leverage) == (tested.exit_reason, tested.amount, tested.leverage)
    assert traded.funding_fees == pytest.approx(tested.funding_fees, abs=1e-6)
    assert traded.close_date is not None
    assert tested.close_date is not None
    assert timedelta(0) <= traded.close_date - tested.close_date <= LATENCY


def test_both_trades_given_many_markets_then_every_way_to_end_is_among_them() -> None:
    reasons = set()
    variants = ((0.06, 4.0, 0.004), (0.6, 1.0, 0.001), (0.6, 24.0, 0.004))  # target, horizon, step
    for seed in range(18):
        target, hours, step = variants[seed % 3]
        profile = wide_profile(stop_loss=-0.3, take_profit=target, hours=hours)
        frame = random_candles(seed, candles=LENGTH, step=step)
        tested, _ = both_trades(frame, funding_frame([], []), profile=profile, sigma=0.02, is_short=seed % 2 == 0)
        reasons.add(None if tested is None else tested.exit_reason)

    assert {"stop_loss", "roi", "giveback", "time_exit"} <= reasons


def held_over_funding(folder: Path, *, due_at: datetime) -> tuple[PaperExchange, MovableClock, FrameCandles]:
    """Return an account that holds 1 BTC from the first candle on, over a funding time whose rate is not known yet."""
    clock, candles = MovableClock(FIRST + LATENCY), FrameCandles({BTC: candle_frame([QUIET] * 60)}, {})
    exchange = paper(folder / "paper.sqlite", candles, clock)
    exchange.create_order(an_intent(amount=Decimal(1)))
    clock.move((due_at + 2 * CANDLE - FIRST).total_seconds())
    assert exchange.fetch_funding(since=FIRST) == []
    return exchange, clock, candles


DUE = FIRST + 3 * CANDLE


def test_funding_given_its_rate_becomes_known_late_then_is_paid_once_on_what_was_held(tmp_path: Path) -> None:
    exchange, clock, candles = held_over_funding(tmp_path, due_at=DUE)
    before = exchange.fetch_balance().wallet_abs

    candles.learn_funding(BTC, funding_frame([DUE, DUE], [0.001, 0.001]))
    for _ in range(3):
        clock.move(CANDLE.total_seconds())
        payments = exchange.fetch_funding(since=FIRST)

    assert [(payment.amount_abs, payment.paid_at) for payment in payments] == [(Decimal("-0.1"), DUE)]
    assert exchange.fetch_balance().wallet_abs == before - Decimal("0.1")
    exchange.close()
    again = paper(tmp_path / "paper.sqlite", candles, clock)
    assert again.fetch_funding(since=FIRST) == payments
    again.close()


@pytest.mark.parametrize(("closed_after", "paid"), [(2 * CANDLE, []), (4 * CANDLE, [Decimal("-0.1")])])
def test_funding_given_it_is_known_after_the_position_closed_then_is_paid_if_it_was_due_before(
    tmp_path: Path, closed_after: timedelta, paid: list[Decimal]
) -> None:
    clock, candles = MovableClock(FIRST + LATENCY), FrameCandles({BTC: candle_frame([QUIET] * 60)}, {})
    exchange = paper(tmp_path / "paper.sqlite", candles, clock)
    exchange.create_order(an_intent(amount=Decimal(1)))
    clock.move(closed_after.total_seconds())
    exchange.create_order(an_intent(IntentLeg.EXIT, amount=Decimal(1)))

    candles.learn_funding(BTC, funding_frame([DUE], [0.001]))
    clock.move(4 * CANDLE.total_seconds())

    assert [payment.amount_abs for payment in exchange.fetch_funding(since=FIRST)] == paid
    exchange.close()


def test_funding_given_a_pair_that_is_not_held_lost_its_candles_then_the_others_are_traded(tmp_path: Path) -> None:
    clock, candles = MovableClock(FIRST + LATENCY), FrameCandles({BTC: candle_frame([QUIET] * 60)}, {})
    exchange = paper(tmp_path / "paper.sqlite", candles, clock)
    exchange.create_order(an_intent(amount=Decimal(1)))
    clock.move((4 * CANDLE).total_seconds())
    exchange.create_order(an_intent(IntentLeg.EXIT, amount=Decimal(1)))
    candles.learn_funding(BTC, funding_frame([DUE], [0.001]))
    lost = candles.lose(BTC)

    clock.move(CANDLE.total_seconds())
    without = exchange.fetch_funding(since=FIRST)
    candles.find(BTC, lost)
    clock.move(CANDLE.total_seconds())

    assert without == []
    assert [payment.amount_abs for payment in exchange.fetch_funding(since=FIRST)] == [Decimal("-0.1")]
    exchange.close()


def test_paper_exchange_given_a_file_of_an_earlier_release_then_keeps_its_position_and_pays_nothing_twice(tmp_path: Path) -> None:
    exchange, clock, candles = held_over_funding(tmp_path, due_at=DUE)
    candles.learn_funding(BTC, funding_frame([DUE], [0.001]))
    clock.move(CANDLE.total_seconds())
    paid, held = exchange.fetch_funding(since=FIRST), exchange.fetch_positions()
    exchange.close()
    with sqlite3.connect(tmp_path / "paper.sqlite") as file:
        file.execute("ALTER TABLE positions ADD COLUMN funded_us INTEGER NOT NULL DEFAULT 0")
    file.close()

    again = paper(tmp_path / "paper.sqlite", candles, clock)
    clock.move(CANDLE.total_seconds())

    assert (again.fetch_funding(since=FIRST), again.fetch_positions()) == (paid, held)
    again.close()


def an_open_account(folder: Path, *rows: tuple[float, float, float, float]) -> tuple[PaperExchange, MovableClock, FrameCandles]:
    clock = MovableClock(FIRST + LATENCY)
    candles = FrameCandles({BTC: candle_frame([*rows, *[QUIET] * 20])})
    return paper(folder / "paper.sqlite", candles, clock), clock, candles


def test_position_given_no_stop_and_a_rate_beyond_liquidation_then_loses_the_stake_to_an_order_of_the_exchange(tmp_path: Path) -> None:
    exchange, clock, _ = an_open_account(tmp_path, (100.0, 100.2, 70.0, 75.0))
    exchange.create_order(an_intent())

    clock.move(CANDLE.total_seconds())

    fill = exchange.fetch_fills(since=FIRST)[-1]
    balance = exchange.fetch_balance()
    exchange.close()
    assert fill.client_order_id.startswith("autoclose-")
    assert (fill.rate, fill.fee_abs) == (pytest.approx(Decimal("80.008")), Decimal(0))
    assert balance.wallet_abs == pytest.approx(Decimal(10000) - Decimal("0.10001") - Decimal("40.004"))


def test_stop_given_half_the_amount_then_closes_half(tmp_path: Path) -> None:
    exchange, clock, _ = an_open_account(tmp_path, (100.0, 100.2, 96.0, 97.0))
    exchange.create_order(an_intent())
    exchange.create_order(an_intent(IntentLeg.STOP, trigger_rate=Decimal(97), amount=Decimal(1)))

    clock.move(CANDLE.total_seconds())

    (position,) = exchange.fetch_positions()
    exchange.close()
    assert position.amount == Decimal(1)


def test_stop_given_the_daemon_slept_for_an_hour_then_fills_at_the_candle_that_touched_it(tmp_path: Path) -> None:
    exchange, clock, _ = an_open_account(tmp_path, QUIET, QUIET, (100.0, 100.2, 96.0, 97.0))
    exchange.create_order(an_intent())
    exchange.create_order(an_intent(IntentLeg.STOP, trigger_rate=Decimal(97)))

    clock.move(3_600.0)

    fill = exchange.fetch_fills(since=FIRST)[-1]
    exchange.close()
    assert (fill.filled_at, fill.rate) == (FIRST + 3 * CANDLE, pytest.approx(Decimal("96.9612")))


def test_account_given_it_is_opened_again_then_goes_on_with_its_own_wallet_and_orders(tmp_path: Path) -> None:
    exchange, clock, candles = an_open_account(tmp_path, QUIET, (100.0, 100.2, 96.0, 97.0))
    exchange.create_order(an_intent())
    exchange.create_order(an_intent(IntentLeg.STOP, trigger_rate=Decimal(97)))
    exchange.close()

    clock.move(2 * CANDLE.total_seconds())
    again = paper(tmp_path / "paper.sqlite", candles, clock, wallet_abs=5.0)

    assert again.fetch_positions() == []
    assert again.fetch_balance().wallet_abs > Decimal(9_000)
    assert [fill.exchange_trade_id for fill in again.fetch_fills(since=FIRST)] == [
        f"{an_intent().client_order_id}.1",
        f"{an_intent(IntentLeg.STOP).client_order_id}.1",
    ]
    again.close()


def test_account_given_another_accounts_file_then_refuses(tmp_path: Path) -> None:
    exchange, clock, candles = an_open_account(tmp_path)
    exchange.close()

    with pytest.raises(StoreError, match="a file of its own"):
        paper(tmp_path / "paper.sqlite", candles, clock, account="paper-BOT2")


def test_account_given_a_file_that_is_no_database_then_names_it(tmp_path: Path) -> None:
    (tmp_path / "paper.sqlite").write_bytes(b"not a database, but long enough to be looked at as one" * 10)

    with pytest.raises(StoreError, match=r"paper\.sqlite"):
        an_open_account(tmp_path)


def test_create_order_given_no_rate_is_known_then_is_busy_and_nothing_happened(tmp_path: Path) -> None:
    exchange, clock, _ = an_open_account(tmp_path)
    clock.move(86_400.0)

    with pytest.raises(ExchangeBusyError, match="no rate now"):
        exchange.create_order(an_intent())

    assert exchange.fetch_fills(since=FIRST) == []
    exchange.close()


def test_create_order_given_the_file_is_locked_then_is_busy_and_nothing_happened(tmp_path: Path) -> None:
    clock, candles = MovableClock(FIRST + LATENCY), FrameCandles({BTC: candle_frame([QUIET])})
    exchange = paper(tmp_path / "paper.sqlite", candles, clock, busy_timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "paper.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ExchangeBusyError, match="locked"):
        exchange.create_order(an_intent())

    other.execute("ROLLBACK")
    other.close()
    assert exchange.create_order(an_intent()).status == "closed"
    exchange.close()


_TRADER = """
import os, signal, sys
from pathlib import Path
from tests.adapters.paper.test_exchange import an_open_account
from tests.journals import an_intent
from bot3.trading.orders import IntentLeg
from decimal import Decimal
exchange, clock, _ = an_open_account(Path(sys.argv[1]))
exchange.create_order(an_intent())
exchange.create_order(an_intent(IntentLeg.STOP, trigger_rate=Decimal(97)))
print("answered", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_account_given_its_process_is_killed_then_what_was_answered_is_there(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

    killed = subprocess.run([sys.executable, "-c", _TRADER, str(tmp_path)], env=env, capture_output=True, text=True, check=False)

    assert (killed.stdout, killed.returncode) == ("answered\n", -signal.SIGKILL), killed.stderr
    exchange, _, _ = an_open_account(tmp_path)
    assert exchange.fetch_positions()[0].amount == Decimal(2)
    assert len(exchange.fetch_open_orders()) == 1
    exchange.close()


def test_random_candles_given_any_seed_then_obey_the_law_of_frames() -> None:
    frame = random_candles(3, candles=50)

    assert tuple(frame.columns) == CANDLE_COLUMNS
    assert bool((frame["high"] >= frame[["open", "close"]].max(axis=1)).all())
    assert datetime.fromisoformat(str(frame["open_time"].iloc[1])) - FIRST == CANDLE
