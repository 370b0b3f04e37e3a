"""The first schema of the bot store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "bot_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bookmarks",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "decisions",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("bot", sa.String(length=25), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("candle_close_time_us", sa.BigInteger(), nullable=False),
        sa.Column("feeder_id", sa.String(length=25), nullable=False),
        sa.Column("is_short", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(length=25), nullable=False),
        sa.Column("reason", sa.String(length=50), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("bot", "pair", "candle_close_time_us", "feeder_id", name="one_decision"),
    )
    op.create_table(
        "fills",
        sa.Column("exchange", sa.String(length=25), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("exchange_trade_id", sa.String(length=255), nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("side", sa.String(length=25), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("fee_abs", sa.Text(), nullable=False),
        sa.Column("is_maker", sa.Boolean(), nullable=False),
        sa.Column("filled_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "account", "exchange_trade_id"),
    )
    op.create_index(op.f("ix_fills_client_order_id"), "fills", ["client_order_id"], unique=False)
    op.create_table(
        "foreign_fills",
        sa.Column("exchange", sa.String(length=25), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("exchange_trade_id", sa.String(length=255), nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("side", sa.String(length=25), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("fee_abs", sa.Text(), nullable=False),
        sa.Column("is_maker", sa.Boolean(), nullable=False),
        sa.Column("filled_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "account", "exchange_trade_id"),
    )
    op.create_index(op.f("ix_foreign_fills_client_order_id"), "foreign_fills", ["client_order_id"], unique=False)
    op.create_table(
        "funding_payments",
        sa.Column("exchange", sa.String(length=25), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("payment_id", sa.String(length=255), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("amount_abs", sa.Text(), nullable=False),
        sa.Column("paid_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "account", "payment_id"),
    )
    op.create_index("funding_of_pair", "funding_payments", ["pair", "paid_at_us"], unique=False)
    op.create_table(
        "intents",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("bot", sa.String(length=25), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("candle_close_time_us", sa.BigInteger(), nullable=False),
        sa.Column("leg", sa.String(length=25), nullable=False),
        sa.Column("side", sa.String(length=25), nullable=False),
        sa.Column("order_type", sa.String(length=25), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("leverage", sa.Double(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("trade_id", sa.Integer(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("trigger_rate", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=25), nullable=False),
        sa.Column("sent_at_us", sa.BigInteger(), nullable=True),
        sa.Column("recv_window_ms", sa.Integer(), nullable=False),
        sa.Column("exchange_order_id", sa.String(length=255), nullable=True),
        sa.Column("reject_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("client_order_id"),
    )
    op.create_index(
        "intents_one_entry",
        "intents",
        ["account", "bot", "pair", "candle_close_time_us", "attempt"],
        unique=True,
        sqlite_where=sa.text("leg = 'entry'"),
        postgresql_where=sa.text("leg = 'entry'"),
    )
    op.create_index(op.f("ix_intents_state"), "intents", ["state"], unique=False)
    op.create_index(op.f("ix_intents_trade_id"), "intents", ["trade_id"], unique=False)
    op.create_table(
        "pairlocks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("side", sa.String(length=25), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=True),
        sa.Column("lock_time", sa.DateTime(), nullable=False),
        sa.Column("lock_end_time", sa.DateTime(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_pairlocks_active"), "pairlocks", ["active"], unique=False)
    op.create_index(op.f("ix_pairlocks_lock_end_time"), "pairlocks", ["lock_end_time"], unique=False)
    op.create_index(op.f("ix_pairlocks_pair"), "pairlocks", ["pair"], unique=False)
    op.create_table(
        "rate_extremes",
        sa.Column("trade_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("min_rate", sa.Double(), nullable=False),
        sa.Column("max_rate", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("trade_id"),
    )
    op.create_table(
        "store_identity",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", sa.String(length=36), nullable=False),
        sa.Column("bot", sa.String(length=25), nullable=False),
        sa.Column("run_mode", sa.String(length=25), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("exchange", sa.String(length=25), nullable=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "trades",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exchange", sa.String(length=25), nullable=False),
        sa.Column("pair", sa.String(length=25), nullable=False),
        sa.Column("base_currency", sa.String(length=25), nullable=True),
        sa.Column("stake_currency", sa.String(length=25), nullable=True),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("fee_open", sa.Double(), nullable=False),
        sa.Column("fee_open_cost", sa.Double(), nullable=True),
        sa.Column("fee_open_currency", sa.String(length=25), nullable=True),
        sa.Column("fee_close", sa.Double(), nullable=False),
        sa.Column("fee_close_cost", sa.Double(), nullable=True),
        sa.Column("fee_close_currency", sa.String(length=25), nullable=True),
        sa.Column("open_rate", sa.Double(), nullable=False),
        sa.Column("open_rate_requested", sa.Double(), nullable=True),
        sa.Column("open_trade_value", sa.Double(), nullable=True),
        sa.Column("close_rate", sa.Double(), nullable=True),
        sa.Column("close_rate_requested", sa.Double(), nullable=True),
        sa.Column("realized_profit", sa.Double(), nullable=True),
        sa.Column("close_profit", sa.Double(), nullable=True),
        sa.Column("close_profit_abs", sa.Double(), nullable=True),
        sa.Column("stake_amount", sa.Double(), nullable=False),
        sa.Column("max_stake_amount", sa.Double(), nullable=True),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("amount_requested", sa.Double(), nullable=True),
        sa.Column("open_date", sa.DateTime(), nullable=False),
        sa.Column("close_date", sa.DateTime(), nullable=True),
        sa.Column("stop_loss", sa.Double(), nullable=True),
        sa.Column("stop_loss_pct", sa.Double(), nullable=True),
        sa.Column("initial_stop_loss", sa.Double(), nullable=True),
        sa.Column("initial_stop_loss_pct", sa.Double(), nullable=True),
        sa.Column("is_stop_loss_trailing", sa.Boolean(), nullable=False),
        sa.Column("max_rate", sa.Double(), nullable=True),
        sa.Column("min_rate", sa.Double(), nullable=True),
        sa.Column("exit_reason", sa.String(length=255), nullable=True),
        sa.Column("exit_order_status", sa.String(length=100), nullable=True),
        sa.Column("strategy", sa.String(length=100), nullable=True),
        sa.Column("enter_tag", sa.String(length=255), nullable=True),
        sa.Column("timeframe", sa.Integer(), nullable=True),
        sa.Column("trading_mode", sa.Enum("SPOT", "MARGIN", "FUTURES", name="tradingmode"), nullable=True),
        sa.Column("amount_precision", sa.Double(), nullable=True),
        sa.Column("price_precision", sa.Double(), nullable=True),
        sa.Column("precision_mode", sa.Integer(), nullable=True),
        sa.Column("precision_mode_price", sa.Integer(), nullable=True),
        sa.Column("contract_size", sa.Double(), nullable=True),
        sa.Column("leverage", sa.Double(), nullable=True),
        sa.Column("is_short", sa.Boolean(), nullable=False),
        sa.Column("liquidation_price", sa.Double(), nullable=True),
        sa.Column("interest_rate", sa.Double(), nullable=False),
        sa.Column("funding_fees", sa.Double(), nullable=True),
        sa.Column("funding_fee_running", sa.Double(), nullable=True),
        sa.Column("record_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_trades_close_date"), "trades", ["close_date"], unique=False)
    op.create_index(op.f("ix_trades_is_open"), "trades", ["is_open"], unique=False)
    op.create_index(op.f("ix_trades_pair"), "trades", ["pair"], unique=False)
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ft_trade_id", sa.Integer(), nullable=False),
        sa.Column("ft_order_side", sa.String(length=25), nullable=False),
        sa.Column("ft_pair", sa.String(length=25), nullable=False),
        sa.Column("ft_is_open", sa.Boolean(), nullable=False),
        sa.Column("ft_amount", sa.Double(), nullable=False),
        sa.Column("ft_price", sa.Double(), nullable=False),
        sa.Column("ft_cancel_reason", sa.String(length=255), nullable=True),
        sa.Column("order_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=255), nullable=True),
        sa.Column("symbol", sa.String(length=25), nullable=True),
        sa.Column("order_type", sa.String(length=50), nullable=True),
        sa.Column("side", sa.String(length=25), nullable=True),
        sa.Column("price", sa.Double(), nullable=True),
        sa.Column("average", sa.Double(), nullable=True),
        sa.Column("amount", sa.Double(), nullable=True),
        sa.Column("filled", sa.Double(), nullable=True),
        sa.Column("remaining", sa.Double(), nullable=True),
        sa.Column("cost", sa.Double(), nullable=True),
        sa.Column("stop_price", sa.Double(), nullable=True),
        sa.Column("order_date", sa.DateTime(), nullable=True),
        sa.Column("order_filled_date", sa.DateTime(), nullable=True),
        sa.Column("order_update_date", sa.DateTime(), nullable=True),
        sa.Column("funding_fee", sa.Double(), nullable=True),
        sa.Column("ft_fee_base", sa.Double(), nullable=True),
        sa.Column("ft_order_tag", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["ft_trade_id"],
            ["trades.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ft_pair", "order_id", name="_order_pair_order_id"),
    )
    op.create_index(op.f("ix_orders_ft_is_open"), "orders", ["ft_is_open"], unique=False)
    op.create_index(op.f("ix_orders_ft_trade_id"), "orders", ["ft_trade_id"], unique=False)
    op.create_index(op.f("ix_orders_order_id"), "orders", ["order_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
