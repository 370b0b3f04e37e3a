"""Define the tables of the platform's record. Instants are whole microseconds since 1970 in UTC (`*_us`)."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _doubles(*names: str, nullable: bool = False) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double, nullable=nullable) for name in names]


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, nullable=nullable) for name in names]


def _instants(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _trade_key() -> list[sa.Column[object]]:
    return [
        sa.Column("bot", sa.String, primary_key=True),
        sa.Column("run_mode", sa.String, primary_key=True),
        sa.Column("trade_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("open_date_us", sa.BigInteger, primary_key=True, autoincrement=False),
    ]


record_meta = sa.Table(
    "record_meta",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("store_id", sa.String(36), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("learning_revision", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.String(36), nullable=False, server_default=""),
)

synced_trades = sa.Table(
    "synced_trades",
    metadata,
    *_trade_key(),
    *_texts("account", "pair"),
    sa.Column("is_short", sa.Boolean, nullable=False),
    *_doubles("leverage", "open_rate", "amount", "stake_amount", "fee_open", "fee_close"),
    *_texts("enter_tag", nullable=True),
    sa.Column("is_open", sa.Boolean, nullable=False),
    *_instants("close_date_us"),
    *_doubles("close_rate", "close_profit", "close_profit_abs"),
    *_texts("exit_reason", nullable=True),
    *_doubles("funding_fees"),
    *_doubles("min_rate", "max_rate", "initial_stop_loss_pct", "stop_loss_pct", "liquidation_price", nullable=True),
    *_texts("order_pattern", nullable=True),  # NULL: written by a release that read fewer columns
    *_texts("horizon", nullable=True),
    *_texts("direction", "leverage_bin", "feeder_id"),
    *_instants("known_at_us", "revision"),
    *_texts("digest"),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Index("synced_trades_of_group", "pair", "direction", "leverage_bin"),
    sa.Index("synced_trades_revision", "revision"),
    sa.Index("synced_trades_known_at", "known_at_us"),
)

trade_replays = sa.Table(
    "trade_replays",
    metadata,
    *_trade_key(),
    *_texts("pair", "direction", "leverage_bin"),
    *_doubles("sigma", nullable=True),
    *_texts("state"),
    sa.Column("due_at_us", sa.BigInteger),
    *_texts("reason", nullable=True),
    sa.Column("candles", sa.BigInteger),
    *_doubles("mae_move", "mfe_move", "exit_move", "funding_move", nullable=True),
    *_instants("known_at_us"),
    *_texts("version"),
    *_instants("revision"),
    sa.Index("trade_replays_of_group", "pair", "direction", "leverage_bin"),
    sa.Index("trade_replays_due", "state", "due_at_us"),
)

shadow_trades = sa.Table(
    "shadow_trades",
    metadata,
    sa.Column("run_mode", sa.String, primary_key=True),
    sa.Column("feeder_id", sa.String, primary_key=True),
    sa.Column("pair", sa.String, primary_key=True),
    sa.Column("is_short", sa.Boolean, nullable=False),
    sa.Column("open_date_us", sa.BigInteger, primary_key=True, autoincrement=False),
    *_instants("close_date_us"),
    *_doubles("confidence", "leverage", "open_rate", "close_rate", "close_profit", "close_move", "sigma"),
    *_texts("regime", "exit_reason"),
    *_texts("model_digest", nullable=True),
    *_instants("known_at_us", "revision"),
    sa.Index("shadow_trades_known_at", "known_at_us"),
    sa.Index("shadow_trades_close", "run_mode", "feeder_id", "pair", "close_date_us"),
)

parameter_publications = sa.Table(
    "parameter_publications",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    *_texts("version"),
    *_texts("replaces", nullable=True),
    sa.Column("is_full", sa.Boolean, nullable=False),
    *_instants("learned_revision", "known_at_us", "computed_at_us", "expires_at_us", "revision"),
    sa.Index("parameter_publications_known_at", "known_at_us", "seq"),
)

parameter_rows = sa.Table(
    "parameter_rows",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("parameter_publications.seq"), primary_key=True, autoincrement=False),
    sa.Column("pair", sa.String, primary_key=True),
    sa.Column("direction", sa.String, primary_key=True),
    sa.Column("leverage_bin", sa.String, primary_key=True),
    *_doubles("stop_loss", "take_profit_target", "stop_move", "take_profit_move", "stop_sigma", "take_profit_sigma", "sigma_ref"),
    *_doubles("leverage_ref"),
    sa.Column("trades_count", sa.BigInteger, nullable=False),
    sa.Column("replays_count", sa.BigInteger, nullable=False),
    *_doubles("n_eff"),
    *_doubles("win_rate", "avg_profit", "profit_factor", nullable=True),
    *_doubles("expectancy", "lower_bound", "upper_bound", "confidence", "own_share"),
    *_texts("parent"),
    *_doubles("ambiguous_share"),
    *_texts("state"),
    *_instants("known_at_us"),
    *_texts("version"),
    sa.Column("first_entry_us", sa.BigInteger),
    sa.Column("last_entry_us", sa.BigInteger),
    sa.Column("left_out_count", sa.BigInteger),
    sa.Column("late_count", sa.BigInteger),
    sa.Column("is_censored", sa.Boolean),
    sa.Column("has_target", sa.Boolean),
    *_doubles("deviation_move", "worst_move", "notional_ratio", "utility", nullable=True),
    sa.Index("parameter_rows_of_group", "pair", "direction", "leverage_bin", "seq"),
)

regime_factors = sa.Table(
    "regime_factors",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("parameter_publications.seq"), primary_key=True, autoincrement=False),
    sa.Column("regime", sa.String, primary_key=True),
    *_doubles("stop_factor", "take_profit_factor"),
)

gate_reviews = sa.Table(
    "gate_reviews",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("parameter_publications.seq"), primary_key=True, autoincrement=False),
    *_instants("day", "known_at_us", "revision"),
    sa.Column("replay_version", sa.String, nullable=True),
    sa.Index("gate_reviews_known_at", "known_at_us", "seq"),
)
"""`day`: days since 1970 of the last day whose outcomes are counted."""

gate_accounts = sa.Table(
    "gate_accounts",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("gate_reviews.seq"), primary_key=True, autoincrement=False),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("direction", sa.String, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    *_doubles("start", "shortfall", "cash_0", "cash_1", "cash_2"),
)
"""`name`: what is permitted in a direction, a pair."""

gate_bets = sa.Table(
    "gate_bets",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("gate_reviews.seq"), primary_key=True, autoincrement=False),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    *_texts("name", "direction"),
    *_instants("opened_us", "ended_us"),
    *_doubles("net", "worst", "stake_0", "stake_1", "stake_2"),
)
"""Trades that were open at the end of the last counted day, by end."""

feeder_publications = sa.Table(
    "feeder_publications",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    *_texts("version"),
    *_instants("known_at_us", "revision"),
    sa.Index("feeder_publications_known_at", "known_at_us", "seq"),
)

feeder_scores = sa.Table(
    "feeder_scores",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("feeder_publications.seq"), primary_key=True, autoincrement=False),
    sa.Column("feeder_id", sa.String, primary_key=True),
    sa.Column("regime", sa.String, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
    *_doubles("n_eff"),
    *_doubles("mean_move", nullable=True),
    *_doubles("expectancy", "lower_bound", "upper_bound", "confidence", "own_share"),
    *_doubles("win_rate", nullable=True),
    sa.Column("n_window", sa.BigInteger, nullable=False),
    *_doubles("win_rate_window", "mean_move_window", nullable=True),
    *_texts("tier"),
    sa.Column("rank", sa.BigInteger, nullable=False),
    *_texts("open_directions", nullable=True),  # NULL: written by an older release
    *_instants("known_at_us"),
    *_texts("version"),
)

regime_states = sa.Table(
    "regime_states",
    metadata,
    sa.Column("known_at_us", sa.BigInteger, primary_key=True, autoincrement=False),
    *_texts("regime"),
    *_instants("since_us"),
    *_doubles("p_bull_trending", "p_bear_trending", "p_sideways", "p_volatile"),
    *_instants("computed_at_us"),
    *_texts("version"),
    *_instants("revision"),
)

recommendations = sa.Table(
    "recommendations",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    *_texts("version", "regime", "tiers", "top_feeders", "avoid_feeders"),
    *_texts("open_bins", "top_tier", "open_feeders", nullable=True),  # NULL: written by an older release
    *_doubles("leverage_low", "leverage_high", "suggested_position_size_multiplier"),
    *_texts("parameters_version", "scores_version"),
    *_instants("generated_at_us", "expires_at_us", "known_at_us", "computed_at_us", "revision"),
    sa.Index("recommendations_known_at", "known_at_us", "seq"),
)

model_registry = sa.Table(
    "model_registry",
    metadata,
    sa.Column("feeder_id", sa.String, primary_key=True),
    sa.Column("digest", sa.String, primary_key=True),
    *_instants("known_at_us", "trained_from_us", "trained_until_us"),
    sa.Column("rows", sa.BigInteger, nullable=False),
    *_doubles("log_loss_oof", "base_log_loss_oof", "long_threshold", "short_threshold", nullable=True),
    *_texts("information", nullable=True),
    *_texts("settings_digest"),
    *_instants("computed_at_us", "revision"),
    sa.Index("models_of_feeder", "feeder_id", "known_at_us"),
)

# Triggers fill both tables (see the migration), so that no writer can omit an entry.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    *_instants("since_revision"),
    sa.Column("written_at_us", sa.BigInteger, nullable=False, server_default="0"),
)

outbox_gone = sa.Table(
    "outbox_gone",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    *_texts("bot", "run_mode"),
    *_instants("trade_id", "close_date_us"),
    *_texts("pair", "direction", "leverage_bin", "feeder_id"),
    *_instants("revision"),
    sa.Index("outbox_gone_revision", "revision"),
)
