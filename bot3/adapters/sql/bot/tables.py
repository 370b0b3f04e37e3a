"""Define the tables of a bot's store.

`trades`, `orders` and `pairlocks` have freqtrade's names, types and meanings (2026.9), with naive dates in UTC. In the other tables every
row contains its account, instants (`*_us`) are whole microseconds since 1970, and the amounts, rates and fees of intents, fills and
payments are decimals as text, so that they are exact.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

trades = sa.Table(
    "trades",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exchange", sa.String(25), nullable=False),
    sa.Column("pair", sa.String(25), nullable=False, index=True),
    sa.Column("base_currency", sa.String(25)),
    sa.Column("stake_currency", sa.String(25)),
    sa.Column("is_open", sa.Boolean, nullable=False, index=True),
    sa.Column("fee_open", sa.Double, nullable=False),
    sa.Column("fee_open_cost", sa.Double),
    sa.Column("fee_open_currency", sa.String(25)),
    sa.Column("fee_close", sa.Double, nullable=False),
    sa.Column("fee_close_cost", sa.Double),
    sa.Column("fee_close_currency", sa.String(25)),
    sa.Column("open_rate", sa.Double, nullable=False),
    sa.Column("open_rate_requested", sa.Double),
    sa.Column("open_trade_value", sa.Double),
    sa.Column("close_rate", sa.Double),
    sa.Column("close_rate_requested", sa.Double),
    sa.Column("realized_profit", sa.Double),
    sa.Column("close_profit", sa.Double),
    sa.Column("close_profit_abs", sa.Double),
    sa.Column("stake_amount", sa.Double, nullable=False),
    sa.Column("max_stake_amount", sa.Double),
    sa.Column("amount", sa.Double, nullable=False),
    sa.Column("amount_requested", sa.Double),
    sa.Column("open_date", sa.DateTime, nullable=False),
    sa.Column("close_date", sa.DateTime, index=True),
    sa.Column("stop_loss", sa.Double),
    sa.Column("stop_loss_pct", sa.Double),
    sa.Column("initial_stop_loss", sa.Double),
    sa.Column("initial_stop_loss_pct", sa.Double),
    sa.Column("is_stop_loss_trailing", sa.Boolean, nullable=False),
    sa.Column("max_rate", sa.Double),
    sa.Column("min_rate", sa.Double),
    sa.Column("exit_reason", sa.String(255)),
    sa.Column("exit_order_status", sa.String(100)),
    sa.Column("strategy", sa.String(100)),
    sa.Column("enter_tag", sa.String(255)),
    sa.Column("timeframe", sa.Integer),
    sa.Column("trading_mode", sa.Enum("SPOT", "MARGIN", "FUTURES", name="tradingmode")),
    sa.Column("amount_precision", sa.Double),
    sa.Column("price_precision", sa.Double),
    sa.Column("precision_mode", sa.Integer),
    sa.Column("precision_mode_price", sa.Integer),
    sa.Column("contract_size", sa.Double),
    sa.Column("leverage", sa.Double),
    sa.Column("is_short", sa.Boolean, nullable=False),
    sa.Column("liquidation_price", sa.Double),
    sa.Column("interest_rate", sa.Double, nullable=False),
    sa.Column("funding_fees", sa.Double),
    sa.Column("funding_fee_running", sa.Double),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("horizon", sa.String(3)),  # the only column that freqtrade lacks
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("ft_trade_id", sa.Integer, sa.ForeignKey("trades.id"), nullable=False, index=True),
    sa.Column("ft_order_side", sa.String(25), nullable=False),
    sa.Column("ft_pair", sa.String(25), nullable=False),
    sa.Column("ft_is_open", sa.Boolean, nullable=False, index=True),
    sa.Column("ft_amount", sa.Double, nullable=False),
    sa.Column("ft_price", sa.Double, nullable=False),
    sa.Column("ft_cancel_reason", sa.String(255)),
    sa.Column("order_id", sa.String(255), nullable=False, index=True),
    sa.Column("status", sa.String(255)),
    sa.Column("symbol", sa.String(25)),
    sa.Column("order_type", sa.String(50)),
    sa.Column("side", sa.String(25)),
    sa.Column("price", sa.Double),
    sa.Column("average", sa.Double),
    sa.Column("amount", sa.Double),
    sa.Column("filled", sa.Double),
    sa.Column("remaining", sa.Double),
    sa.Column("cost", sa.Double),
    sa.Column("stop_price", sa.Double),
    sa.Column("order_date", sa.DateTime),
    sa.Column("order_filled_date", sa.DateTime),
    sa.Column("order_update_date", sa.DateTime),
    sa.Column("funding_fee", sa.Double),
    sa.Column("ft_fee_base", sa.Double),
    sa.Column("ft_order_tag", sa.String(255)),
    sa.UniqueConstraint("ft_pair", "order_id", name="_order_pair_order_id"),
)

pairlocks = sa.Table(
    "pairlocks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("pair", sa.String(25), nullable=False, index=True),
    sa.Column("side", sa.String(25), nullable=False),
    sa.Column("reason", sa.String(255)),
    sa.Column("lock_time", sa.DateTime, nullable=False),
    sa.Column("lock_end_time", sa.DateTime, nullable=False, index=True),
    sa.Column("active", sa.Boolean, nullable=False, index=True),
)

store_identity = sa.Table(
    "store_identity",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("store_id", sa.String(36), nullable=False),
    sa.Column("bot", sa.String(25), nullable=False),
    sa.Column("run_mode", sa.String(25), nullable=False),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("exchange", sa.String(25), nullable=False),
    sa.Column("writes", sa.BigInteger, nullable=False),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("client_order_id", sa.String(64), nullable=False, unique=True),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("bot", sa.String(25), nullable=False),
    sa.Column("pair", sa.String(25), nullable=False),
    sa.Column("candle_close_time_us", sa.BigInteger, nullable=False),
    sa.Column("leg", sa.String(25), nullable=False),
    sa.Column("side", sa.String(25), nullable=False),
    sa.Column("order_type", sa.String(25), nullable=False),
    sa.Column("amount", sa.Text, nullable=False),
    sa.Column("leverage", sa.Double, nullable=False),
    sa.Column("reduce_only", sa.Boolean, nullable=False),
    sa.Column("trade_id", sa.Integer, nullable=False, index=True),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("trigger_rate", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("state", sa.String(25), nullable=False, index=True),
    sa.Column("sent_at_us", sa.BigInteger),
    sa.Column("recv_window_ms", sa.Integer, nullable=False),
    sa.Column("exchange_order_id", sa.String(255)),
    sa.Column("reject_reason", sa.Text),
)
# A decision to enter creates one order: after a restart the same decision may get another trade id, so the id is not in this key.
sa.Index(
    "intents_one_entry",
    intents.c.account,
    intents.c.bot,
    intents.c.pair,
    intents.c.candle_close_time_us,
    intents.c.attempt,
    unique=True,
    sqlite_where=sa.text("leg = 'entry'"),
    postgresql_where=sa.text("leg = 'entry'"),
)


def _fill_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("exchange", sa.String(25), primary_key=True),
        sa.Column("account", sa.String(100), primary_key=True),
        sa.Column("exchange_trade_id", sa.String(255), primary_key=True),
        sa.Column("client_order_id", sa.String(64), nullable=False, index=True),
        sa.Column("pair", sa.String(25), nullable=False),
        sa.Column("side", sa.String(25), nullable=False),
        sa.Column("rate", sa.Text, nullable=False),
        sa.Column("amount", sa.Text, nullable=False),
        sa.Column("fee_abs", sa.Text, nullable=False),
        sa.Column("is_maker", sa.Boolean, nullable=False),
        sa.Column("filled_at_us", sa.BigInteger, nullable=False),
    ]


fills = sa.Table("fills", metadata, *_fill_columns())
foreign_fills = sa.Table("foreign_fills", metadata, *_fill_columns())

funding_payments = sa.Table(
    "funding_payments",
    metadata,
    sa.Column("exchange", sa.String(25), primary_key=True),
    sa.Column("account", sa.String(100), primary_key=True),
    sa.Column("payment_id", sa.String(255), primary_key=True),
    sa.Column("pair", sa.String(25), nullable=False),
    sa.Column("amount_abs", sa.Text, nullable=False),
    sa.Column("paid_at_us", sa.BigInteger, nullable=False),
    sa.Index("funding_of_pair", "pair", "paid_at_us"),
)

rate_extremes = sa.Table(
    "rate_extremes",
    metadata,
    sa.Column("trade_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("min_rate", sa.Double, nullable=False),
    sa.Column("max_rate", sa.Double, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("bot", sa.String(25), nullable=False),
    sa.Column("pair", sa.String(25), nullable=False),
    sa.Column("candle_close_time_us", sa.BigInteger, nullable=False),
    sa.Column("feeder_id", sa.String(25), nullable=False),
    sa.Column("is_short", sa.Boolean, nullable=False),
    sa.Column("confidence", sa.Double, nullable=False),
    sa.Column("outcome", sa.String(25), nullable=False),
    sa.Column("reason", sa.String(50), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("client_order_id", sa.String(64)),
    sa.UniqueConstraint("bot", "pair", "candle_close_time_us", "feeder_id", name="one_decision"),
)

risk_latch = sa.Table(
    "risk_latch",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("state", sa.String(25), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("day", sa.String(10)),
    sa.Column("day_start_abs", sa.Double),
    sa.Column("peak_abs", sa.Double),
    sa.Column("reducing_until", sa.String(32)),
)

bookmarks = sa.Table(
    "bookmarks",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("account", sa.String(100), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)
