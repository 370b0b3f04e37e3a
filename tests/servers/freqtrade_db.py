"""Databases of freqtrade: its tables of two releases, on SQLite and on PostgreSQL, and rows to insert."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

OPENED = datetime(2025, 3, 3, 12, 0, 4)  # noqa: DTZ001  # freqtrade stores naive times
PAIR = "BTC/USDT:USDT"

_AFTER_2022_4 = frozenset(
    {"amount_precision", "contract_size", "funding_fee_running", "is_stop_loss_trailing", "max_stake_amount"}
    | {"precision_mode", "precision_mode_price", "price_precision", "realized_profit", "record_version"}
    | {"ft_amount", "ft_price", "ft_cancel_reason", "ft_order_tag", "stop_price", "funding_fee"}
)


def freqtrade_tables(*, age: str = "2026.9") -> tuple[sa.Table, sa.Table]:
    """Return `trades` and `orders` of a release: "2026.9" or "2022.4"."""
    metadata = sa.MetaData()
    trades = [*_trade_columns(), sa.Column("open_order_id", sa.String(255))] if age == "2022.4" else _trade_columns()
    left_out = _AFTER_2022_4 if age == "2022.4" else frozenset()
    return (
        sa.Table("trades", metadata, *(column for column in trades if column.name not in left_out)),
        sa.Table("orders", metadata, *(column for column in _order_columns() if column.name not in left_out)),
    )


class FreqtradeDb:
    """Create one database and write rows as the bot would, through its own connections."""

    def __init__(self, url: str, *, age: str = "2026.9") -> None:
        self.url = url
        self.trades, self.orders = freqtrade_tables(age=age)
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        with self.engine.begin() as connection:
            self.trades.metadata.create_all(connection)

    def execute(self, text: str) -> None:
        """Run a statement and commit it."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(text)

    def add(self, *rows: dict[str, Any]) -> None:
        """Insert trades."""
        self._insert(self.trades, rows)

    def add_orders(self, *rows: dict[str, Any]) -> None:
        """Insert orders."""
        self._insert(self.orders, rows)

    def _insert(self, table: sa.Table, rows: tuple[dict[str, Any], ...]) -> None:
        known = {column.name for column in table.columns}
        with self.engine.begin() as connection:
            connection.execute(table.insert(), [{name: row[name] for name in row if name in known} for row in rows])


def a_row(trade_id: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a row of `trades`: a long at 5x that reached its target after an hour."""
    row: dict[str, Any] = {
        "id": trade_id,
        "exchange": "binance",
        "pair": PAIR,
        "base_currency": "BTC",
        "stake_currency": "USDT",
        "is_open": False,
        "fee_open": 0.0005,
        "fee_close": 0.0005,
        "open_rate": 100.0,
        "close_rate": 101.0,
        "close_profit": 0.0449,
        "close_profit_abs": 1.8,
        "stake_amount": 40.0,
        "amount": 2.0,
        "open_date": OPENED,
        "close_date": OPENED + timedelta(hours=1),
        "stop_loss": 99.4,
        "stop_loss_pct": -0.03,
        "initial_stop_loss": 99.4,
        "initial_stop_loss_pct": -0.03,
        "is_stop_loss_trailing": False,
        "max_rate": 100.9,
        "min_rate": 99.7,
        "exit_reason": "roi",
        "strategy": "Sample",
        "enter_tag": "F07|c=0.73|bull",
        "timeframe": 5,
        "trading_mode": "FUTURES",
        "leverage": 5.0,
        "is_short": False,
        "liquidation_price": 81.0,
        "interest_rate": 0.0,
        "funding_fees": -0.01,
        "record_version": 2,
    }
    return row | changes


def an_open_row(trade_id: int, **changes: Any) -> dict[str, Any]:
    """Return a row of a trade that is open after a partial exit, with a close_profit."""
    row = a_row(trade_id, is_open=True, close_date=None, exit_reason="partial_exit", close_profit_abs=0.9)
    return row | changes


def an_order(order_id: int, *, trade_id: int, side: str, filled: float = 2.0, after: timedelta = timedelta(0)) -> dict[str, Any]:
    """Return a row of `orders`."""
    return {
        "id": order_id,
        "ft_trade_id": trade_id,
        "ft_order_side": side,
        "ft_pair": PAIR,
        "ft_is_open": False,
        "ft_amount": 2.0,
        "ft_price": 100.0,
        "order_id": f"order-{order_id}",
        "status": "closed" if filled else "canceled",
        "side": side,
        "average": 100.0,
        "amount": 2.0,
        "filled": filled,
        "order_date": OPENED + after,
        "order_filled_date": OPENED + after if filled else None,
    }


def _floats(*names: str, required: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Float, nullable=not required) for name in names]


def _texts(**lengths: int) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.String(length)) for name, length in lengths.items()]


def _trade_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("exchange", sa.String(25), nullable=False),
        sa.Column("pair", sa.String(25), nullable=False, index=True),
        *_texts(base_currency=25, stake_currency=25, fee_open_currency=25, fee_close_currency=25),
        sa.Column("is_open", sa.Boolean, nullable=False, index=True),
        *_floats("fee_open", "fee_close", "open_rate", "stake_amount", "amount", required=True),
        *_floats("fee_open_cost", "fee_close_cost", "open_rate_requested", "open_trade_value", "close_rate", "close_rate_requested"),
        *_floats("realized_profit", "close_profit", "close_profit_abs", "max_stake_amount", "amount_requested"),
        sa.Column("open_date", sa.DateTime, nullable=False),
        sa.Column("close_date", sa.DateTime, index=True),
        *_floats("stop_loss", "stop_loss_pct", "initial_stop_loss", "initial_stop_loss_pct"),
        sa.Column("is_stop_loss_trailing", sa.Boolean, nullable=False, default=False),
        *_floats("max_rate", "min_rate"),
        *_texts(exit_reason=255, exit_order_status=100, strategy=100, enter_tag=255),
        sa.Column("timeframe", sa.Integer),
        sa.Column("trading_mode", sa.Enum("SPOT", "MARGIN", "FUTURES", name="tradingmode")),
        *_floats("amount_precision", "price_precision", "contract_size"),
        sa.Column("precision_mode", sa.Integer),
        sa.Column("precision_mode_price", sa.Integer),
        *_floats("leverage", "liquidation_price", "funding_fees", "funding_fee_running"),
        sa.Column("is_short", sa.Boolean, nullable=False),
        sa.Column("interest_rate", sa.Float, nullable=False),
        sa.Column("record_version", sa.Integer, nullable=False),
    ]


def _order_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ft_trade_id", sa.Integer, sa.ForeignKey("trades.id"), nullable=False, index=True),
        sa.Column("ft_order_side", sa.String(25), nullable=False),
        sa.Column("ft_pair", sa.String(25), nullable=False),
        sa.Column("ft_is_open", sa.Boolean, nullable=False),
        *_floats("ft_amount", "ft_price", required=True),
        sa.Column("order_id", sa.String(255), nullable=False, index=True),
        *_texts(ft_cancel_reason=255, status=255, symbol=25, order_type=50, side=25, ft_order_tag=255),
        *_floats("price", "average", "amount", "filled", "remaining", "cost", "stop_price", "funding_fee", "ft_fee_base"),
        sa.Column("order_date", sa.DateTime),
        sa.Column("order_filled_date", sa.DateTime),
        sa.Column("order_update_date", sa.DateTime),
    ]
