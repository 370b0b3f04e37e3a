"""The first schema of the platform store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "platform_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "feeder_publications",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("feeder_publications_known_at", "feeder_publications", ["known_at_us", "seq"], unique=False)
    op.create_table(
        "model_registry",
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("trained_from_us", sa.BigInteger(), nullable=False),
        sa.Column("trained_until_us", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("log_loss_oof", sa.Double(), nullable=False),
        sa.Column("base_log_loss_oof", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("settings_digest", sa.String(), nullable=False),
        sa.Column("computed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("feeder_id", "digest"),
    )
    op.create_index("models_of_feeder", "model_registry", ["feeder_id", "known_at_us"], unique=False)
    op.create_table(
        "parameter_publications",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("replaces", sa.String(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("learned_revision", sa.BigInteger(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("computed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("parameter_publications_known_at", "parameter_publications", ["known_at_us", "seq"], unique=False)
    op.create_table(
        "recommendations",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("tiers", sa.String(), nullable=False),
        sa.Column("top_feeders", sa.String(), nullable=False),
        sa.Column("avoid_feeders", sa.String(), nullable=False),
        sa.Column("leverage_low", sa.Double(), nullable=False),
        sa.Column("leverage_high", sa.Double(), nullable=False),
        sa.Column("suggested_position_size_multiplier", sa.Double(), nullable=False),
        sa.Column("parameters_version", sa.String(), nullable=False),
        sa.Column("scores_version", sa.String(), nullable=False),
        sa.Column("generated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("computed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("recommendations_known_at", "recommendations", ["known_at_us", "seq"], unique=False)
    op.create_table(
        "record_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", sa.String(length=36), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("learning_revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "regime_states",
        sa.Column("known_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("p_bull_trending", sa.Double(), nullable=False),
        sa.Column("p_bear_trending", sa.Double(), nullable=False),
        sa.Column("p_sideways", sa.Double(), nullable=False),
        sa.Column("p_volatile", sa.Double(), nullable=False),
        sa.Column("computed_at_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("known_at_us"),
    )
    op.create_table(
        "shadow_trades",
        sa.Column("run_mode", sa.String(), nullable=False),
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("is_short", sa.Boolean(), nullable=False),
        sa.Column("open_date_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("close_date_us", sa.BigInteger(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("leverage", sa.Double(), nullable=False),
        sa.Column("open_rate", sa.Double(), nullable=False),
        sa.Column("close_rate", sa.Double(), nullable=False),
        sa.Column("close_profit", sa.Double(), nullable=False),
        sa.Column("close_move", sa.Double(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("exit_reason", sa.String(), nullable=False),
        sa.Column("model_digest", sa.String(), nullable=True),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_mode", "feeder_id", "pair", "open_date_us"),
    )
    op.create_index("shadow_trades_close", "shadow_trades", ["run_mode", "feeder_id", "pair", "close_date_us"], unique=False)
    op.create_index("shadow_trades_known_at", "shadow_trades", ["known_at_us"], unique=False)
    op.create_table(
        "synced_trades",
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("run_mode", sa.String(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("open_date_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("is_short", sa.Boolean(), nullable=False),
        sa.Column("leverage", sa.Double(), nullable=False),
        sa.Column("open_rate", sa.Double(), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("stake_amount", sa.Double(), nullable=False),
        sa.Column("fee_open", sa.Double(), nullable=False),
        sa.Column("fee_close", sa.Double(), nullable=False),
        sa.Column("enter_tag", sa.String(), nullable=True),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("close_date_us", sa.BigInteger(), nullable=False),
        sa.Column("close_rate", sa.Double(), nullable=False),
        sa.Column("close_profit", sa.Double(), nullable=False),
        sa.Column("close_profit_abs", sa.Double(), nullable=False),
        sa.Column("exit_reason", sa.String(), nullable=True),
        sa.Column("funding_fees", sa.Double(), nullable=False),
        sa.Column("min_rate", sa.Double(), nullable=True),
        sa.Column("max_rate", sa.Double(), nullable=True),
        sa.Column("initial_stop_loss_pct", sa.Double(), nullable=True),
        sa.Column("stop_loss_pct", sa.Double(), nullable=True),
        sa.Column("liquidation_price", sa.Double(), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("leverage_bin", sa.String(), nullable=False),
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "run_mode", "trade_id", "open_date_us"),
    )
    op.create_index("synced_trades_known_at", "synced_trades", ["known_at_us"], unique=False)
    op.create_index("synced_trades_of_group", "synced_trades", ["pair", "direction", "leverage_bin"], unique=False)
    op.create_index("synced_trades_revision", "synced_trades", ["revision"], unique=False)
    op.create_table(
        "trade_replays",
        sa.Column("bot", sa.String(), nullable=False),
        sa.Column("run_mode", sa.String(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("open_date_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("leverage_bin", sa.String(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at_us", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("candles", sa.BigInteger(), nullable=True),
        sa.Column("mae_move", sa.Double(), nullable=True),
        sa.Column("mfe_move", sa.Double(), nullable=True),
        sa.Column("exit_move", sa.Double(), nullable=True),
        sa.Column("funding_move", sa.Double(), nullable=True),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bot", "run_mode", "trade_id", "open_date_us"),
    )
    op.create_index("trade_replays_due", "trade_replays", ["state", "due_at_us"], unique=False)
    op.create_index("trade_replays_of_group", "trade_replays", ["pair", "direction", "leverage_bin"], unique=False)
    op.create_table(
        "feeder_scores",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feeder_id", sa.String(), nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("n_eff", sa.Double(), nullable=False),
        sa.Column("mean_move", sa.Double(), nullable=True),
        sa.Column("expectancy", sa.Double(), nullable=False),
        sa.Column("lower_bound", sa.Double(), nullable=False),
        sa.Column("upper_bound", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("own_share", sa.Double(), nullable=False),
        sa.Column("win_rate", sa.Double(), nullable=True),
        sa.Column("n_window", sa.BigInteger(), nullable=False),
        sa.Column("win_rate_window", sa.Double(), nullable=True),
        sa.Column("mean_move_window", sa.Double(), nullable=True),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["feeder_publications.seq"],
        ),
        sa.PrimaryKeyConstraint("seq", "feeder_id", "regime"),
    )
    op.create_table(
        "parameter_rows",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("leverage_bin", sa.String(), nullable=False),
        sa.Column("stop_loss", sa.Double(), nullable=False),
        sa.Column("take_profit_target", sa.Double(), nullable=False),
        sa.Column("stop_move", sa.Double(), nullable=False),
        sa.Column("take_profit_move", sa.Double(), nullable=False),
        sa.Column("stop_sigma", sa.Double(), nullable=False),
        sa.Column("take_profit_sigma", sa.Double(), nullable=False),
        sa.Column("sigma_ref", sa.Double(), nullable=False),
        sa.Column("leverage_ref", sa.Double(), nullable=False),
        sa.Column("trades_count", sa.BigInteger(), nullable=False),
        sa.Column("replays_count", sa.BigInteger(), nullable=False),
        sa.Column("n_eff", sa.Double(), nullable=False),
        sa.Column("win_rate", sa.Double(), nullable=True),
        sa.Column("avg_profit", sa.Double(), nullable=True),
        sa.Column("profit_factor", sa.Double(), nullable=True),
        sa.Column("expectancy", sa.Double(), nullable=False),
        sa.Column("lower_bound", sa.Double(), nullable=False),
        sa.Column("upper_bound", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("own_share", sa.Double(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("ambiguous_share", sa.Double(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("known_at_us", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["parameter_publications.seq"],
        ),
        sa.PrimaryKeyConstraint("seq", "pair", "direction", "leverage_bin"),
    )
    op.create_index("parameter_rows_of_group", "parameter_rows", ["pair", "direction", "leverage_bin", "seq"], unique=False)
    op.create_table(
        "regime_factors",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("regime", sa.String(), nullable=False),
        sa.Column("stop_factor", sa.Double(), nullable=False),
        sa.Column("take_profit_factor", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"],
            ["parameter_publications.seq"],
        ),
        sa.PrimaryKeyConstraint("seq", "regime"),
    )


def downgrade() -> None:
    raise NotImplementedError("stores are never migrated back: restore the backup that was made before the upgrade")
