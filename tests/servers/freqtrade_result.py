"""Backtest results as freqtrade writes them: one JSON of all strategies, with configuration and other files in an archive."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

OPENED = datetime(2025, 3, 3, 12, 5, tzinfo=UTC)
STEM = "backtest-result-2026-11-02_10-00-00"


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def a_result_order(*, is_entry: bool, at: datetime, rate: float = 100.0, amount: float = 2.0, is_short: bool = False) -> dict[str, Any]:
    """Return an order of a trade in the exported format."""
    return {
        "amount": amount,
        "safe_price": rate,
        "ft_order_side": "buy" if is_entry != is_short else "sell",
        "order_filled_timestamp": milliseconds(at),
        "ft_is_entry": is_entry,
        "ft_order_tag": "",
        "cost": rate * amount,
    }


def a_result_trade(*, opened: datetime = OPENED, closed: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """Return a trade of a result: a long at 5x that reached its target after an hour."""
    closed = closed or opened + timedelta(hours=1)
    trade: dict[str, Any] = {
        "pair": "BTC/USDT:USDT",
        "stake_amount": 40.0,
        "max_stake_amount": 40.0,
        "amount": 2.0,
        "open_date": str(opened),
        "close_date": str(closed),
        "open_rate": 100.0,
        "close_rate": 101.0,
        "fee_open": 0.0005,
        "fee_close": 0.0005,
        "trade_duration": 60,
        "profit_ratio": 0.0449,
        "profit_abs": 1.8,
        "exit_reason": "roi",
        "initial_stop_loss_abs": 99.4,
        "initial_stop_loss_ratio": -0.03,
        "stop_loss_abs": 99.4,
        "stop_loss_ratio": -0.03,
        "min_rate": 99.7,
        "max_rate": 101.2,
        "is_open": False,
        "enter_tag": "F07",
        "leverage": 5.0,
        "is_short": False,
        "open_timestamp": milliseconds(opened),
        "close_timestamp": milliseconds(closed),
        "orders": [a_result_order(is_entry=True, at=opened), a_result_order(is_entry=False, at=closed, rate=101.0)],
        "funding_fees": -0.01,
    }
    return trade | changes


def a_result(**strategies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of a result file."""
    found = {name: {"trades": trades, "stake_currency": "USDT", "timeframe": "5m"} for name, trades in strategies.items()}
    return {"strategy": found, "strategy_comparison": [{"key": name} for name in strategies]}


def write_zip(directory: Path, result: Any, *, name: str = f"{STEM}.zip", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive with all files of freqtrade's archives, and its metadata beside it."""
    path = directory / name
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{STEM}_config.json", json.dumps({"strategy": "not a result"}))
        archive.writestr(f"{STEM}.json", result if isinstance(result, bytes) else json.dumps(result))
        archive.writestr(f"{STEM}_Sample.json", "{}")
        archive.writestr(f"{STEM}_market_change.feather", b"not looked at")
        archive.writestr(f"{STEM}_signals.pkl", b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    (directory / f"{STEM}.meta.json").write_text(json.dumps({"Sample": {"run_id": "1"}}))
    return path
