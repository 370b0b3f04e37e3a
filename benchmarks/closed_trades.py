"""Closed trades that benchmarks commit to a bot's store while services run, with the same fields as the execution daemon's."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot3.trading.horizons import Horizon
from bot3.trading.trades import RunMode, Trade
from bot3.wiring import Platform


def closed_trade(platform: Platform, number: int, *, bot: str = "BOT1") -> Trade:
    """Return a trade with the bot's next id that closes now and was opened 25 hours ago, so that its replay is due (horizon of 24 h)."""
    pairs = platform.candles.pairs()
    pair, now = pairs[number % len(pairs)], platform.clock.now()
    opened = now - timedelta(hours=25)
    leverage, profit = 3.0, (0.02, -0.03)[number % 2]
    open_rate = _rate_before(platform, pair, opened)
    return Trade(
        bot=bot,
        run_mode=RunMode.PAPER,
        account=f"paper-{bot}",
        trade_id=platform.bot_store(bot).next_trade_id(),
        pair=pair,
        is_short=False,
        leverage=leverage,
        open_date=opened,
        open_rate=open_rate,
        amount=300.0 / open_rate,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=now,
        close_rate=open_rate * (1.0 + profit / leverage),
        close_profit=profit,
        close_profit_abs=100.0 * profit,
        exit_reason="roi" if profit > 0.0 else "stop_loss",
        horizon=Horizon.DAY,
    )


def _rate_before(platform: Platform, pair: str, at: datetime) -> float:
    # The last close within the day before: the newest candles may be missing.
    before = platform.candles.candles(pair, platform.settings.timeframe, start=at - timedelta(days=1), end=at)
    return float(before["close"].iloc[-1])
