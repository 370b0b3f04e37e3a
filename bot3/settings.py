"""Settings: loaded once from the environment and `.env`, validated, frozen.

Every name has the prefix `BOT3_`; an unknown name with this prefix is an error. A secret can be set as `X`, or as `X_FILE`, the path of a
file that contains it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from bot3.environment import named_variables, text_of_file
from bot3.errors import InvalidTradeError, SettingsError
from bot3.trading.exit_rules import ExitRules
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins
from bot3.trading.trades import RunMode
from bot3.web_guard import is_host_name

PREFIX = "BOT3_"
BOT_NAMES = ("BOT1", "BOT2", "BOT3")


class Settings(BaseModel):
    """All settings of the platform; docs/settings.md describes each."""

    # Without infinite numbers: an infinite limit would be none.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, allow_inf_nan=False)

    # Where and what
    home: Path = Field(Path(".bot3"), description="Directory of the embedded stores, models, signals, logs and published files.")
    trading_mode: Literal["paper", "live"] = Field("paper", description="Paper trades on the simulated account; live is not available yet.")
    candles: str = Field(
        "",
        description="Candle directories in freqtrade's layout, separated by the path separator; empty: the simulated market.",
    )
    markets_file: Path | None = Field(
        None,
        description="Markets in ccxt's form (JSON); none: rules assumed from the candle files' prices, or those of the simulated market.",
    )
    fleet_file: Path | None = Field(
        None, description="File of further bots, whose databases are only read (TOML, docs/fleet.md); none: no further bots."
    )
    timeframe: Literal["5m"] = Field("5m", description="Timeframe of all candles that are used.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest severity that is logged.")

    # Market clock and seed
    market_seed: int = Field(7, ge=0, description="Seed of the simulated market.")
    clock_speed: float = Field(60.0, gt=0.0, le=5_000.0, description="Market seconds per wall second, simulated or replayed.")
    seed_days: int = Field(84, ge=42, description="Days of simulated history that a new home is seeded with.")
    replay_days: float = Field(7.0, gt=0.0, description="Last days of real candles, which a seed leaves for the daemon to replay.")
    feeder_train_days: int = Field(2_500, ge=14, description="Longest span of candles that a feeder's model is trained on, days.")
    feeder_first_weeks: int = Field(6, ge=2, description="In the seed, weeks of candles before the first model of each feeder.")
    feeder_every_weeks: int = Field(4, ge=1, description="In the seed, interval between two models of each feeder, weeks.")

    # Bots and protection
    leverage_bins: tuple[float, ...] = Field(
        DEFAULT_BINS.edges, description="Edges of the leverage bins, ascending; a home keeps those that it was seeded with."
    )
    stop_loss: float = Field(-0.03, lt=0.0, gt=-1.0, description="Stop without learned values: ratio of the stake, before fees.")
    take_profit: float = Field(0.03, gt=0.0, description="Target without learned values: ratio of the stake, after fees.")
    target_volatility: float = Field(
        0.12, gt=0.0, le=1.0, description="Volatility of the stake over a trade's horizon, by which the leverage is chosen; a ratio."
    )
    leverage_cap: float = Field(
        10.0, ge=1.0, description="Highest leverage in paper trading and in the history of a seed, inside the leverage bins."
    )
    longest_trade_hours: float = Field(
        168.0, gt=0.0, le=168.0, description="Longest duration of a trade, market hours; trades of a longer horizon are exited after it."
    )
    giveback_share: float = Field(
        0.5, gt=0.0, lt=1.0, description="A trade ends after a close that has lost this share of its best open profit."
    )
    giveback_activation_sigma: float = Field(
        1.0, gt=0.0, description="Best open profit, in units of the volatility at entry, from which the giveback rule applies."
    )
    break_even_activation_sigma: float | None = Field(
        None,
        gt=0.0,
        description="Best open profit, in units of the volatility at entry, from which the stop is at the entry plus costs; none: never.",
    )
    stake_currency: str = Field(
        "USDT",
        pattern=r"^[A-Z0-9]{2,12}$",
        description="Currency of the paper wallets; the platform's own bots trade only pairs with this stake currency.",
    )
    wallet_abs: float = Field(10_000.0, gt=0.0, description="Paper wallet of each bot, in the stake currency.")
    max_open_trades: int = Field(5, ge=1, description="Maximum number of a bot's open positions.")

    # Costs
    taker_fee: float = Field(0.0005, ge=0.0, le=0.01, description="Taker fee, ratio of a side's value.")
    maker_fee: float = Field(0.0002, ge=0.0, le=0.01, description="Maker fee, ratio of a side's value.")
    slippage: float = Field(0.0001, ge=0.0, le=0.01, description="Slippage of a market order, ratio of the price.")
    stop_slippage: float = Field(
        0.0003, ge=0.0, le=0.01, description="Slippage of a stop in addition to BOT3_SLIPPAGE, ratio of the price."
    )

    # Limits
    max_stake_ratio: float = Field(0.10, gt=0.0, le=1.0, description="Maximum stake of one order, ratio of equity.")
    max_pair_notional_ratio: float = Field(1.0, gt=0.0, description="Maximum notional of one pair, ratio of equity.")
    max_gross_notional_ratio: float = Field(3.0, gt=0.0, description="Maximum notional of all pairs, ratio of equity.")
    daily_loss_reducing: float = Field(
        -0.03, lt=0.0, gt=-1.0, description="Loss of a UTC day, ratio of equity, from which a bot may only reduce positions."
    )
    daily_loss_halted: float = Field(
        -0.05, lt=0.0, gt=-1.0, description="Loss of a UTC day, ratio of equity, from which a bot does not trade."
    )
    max_drawdown: float = Field(-0.15, lt=0.0, gt=-1.0, description="Loss since the highest equity, a ratio: then a bot does not trade.")
    stop_streak: int = Field(4, ge=0, description="Number of stops within the window that pauses a bot's entries; 0: never.")
    stop_streak_window_minutes: float = Field(120.0, gt=0.0, description="Window of the streak of stops, market minutes.")
    stop_streak_pause_minutes: float = Field(
        30.0, ge=0.0, description="Pause of entries after the newest stop of a streak, market minutes."
    )
    cool_off_minutes: float = Field(10.0, ge=0.0, description="Pause of entries on a pair after a trade on it closed, market minutes.")
    max_candle_age_minutes: float = Field(15.0, gt=0.0, description="Maximum age of candles and signals for an entry, market minutes.")
    price_collar: float = Field(
        0.01, gt=0.0, le=0.2, description="Maximum distance of an entry's rate from the last candle's close, ratio of the price."
    )
    protect_deadline_s: float = Field(10.0, gt=0.0, description="Wall seconds after which a position without a working stop is closed.")

    # Learning
    win_rate_mark: float = Field(0.55, gt=0.0, lt=1.0, description="Win rate shown as a reference line, never a condition.")
    min_trades_per_bin: int = Field(
        5, ge=1, description="A group of trades (pair, direction, leverage bin) with fewer trades is marked on pages."
    )
    max_censored_share: float = Field(
        0.10, ge=0.0, le=1.0, description="Maximum share of closes left out or late; a pair and direction above it may not trade."
    )
    meta_learner_interval_s: int = Field(
        300, ge=60, le=3_600, description="Interval of the meta-learner, wall seconds: whole minutes that divide an hour."
    )
    lookback_days: int = Field(30, ge=1, description="Window of feeder scores for which means and win rates are shown too, market days.")
    min_trades_per_feeder: int = Field(
        10, ge=1, description="Shadow trades of a feeder within that window from which its mean and win rate are shown."
    )
    recommendations_file: Path = Field(
        Path("meta_learner_recommendations.json"), description="Output file of the meta-learner, relative to the home."
    )
    parameters_file: Path = Field(Path("adaptive_params.json"), description="Published parameters for other readers, relative to the home.")
    recommendations_life_s: int = Field(1_800, ge=60, description="Lifetime of recommendations, wall seconds; longer than the interval.")
    parameters_life_s: int = Field(604_800, ge=3_600, description="Lifetime of parameters, wall seconds; longer than the interval.")
    learn_from: tuple[Literal["backtest", "paper", "live"], ...] = Field(
        ("backtest", "paper"), description="Run modes whose trades are learned from together."
    )
    parameters_from: Literal["record", "influx"] = Field(
        "record", description="Where the daemon reads published learning: the record, or its copy in InfluxDB."
    )
    sync_overlap_days: float = Field(7.0, gt=0.0, description="Days of closed trades before the newest one that every sync reads again.")

    # Notifications: with a token, failed runs are reported; `python -m telegram_bot` sends alerts and answers people
    telegram_token: SecretStr = SecretStr("")
    telegram_chat_id: int = Field(0, description="The one chat that is notified and answered (below 0: a group); 0: none.")
    telegram_users: tuple[int, ...] = Field(
        (), description="Ids of the users whose messages in that chat are answered; others there get one refusal each."
    )
    telegram_api_url: str = Field(
        "https://api.telegram.org", pattern=r"^https?://[^\s@]+$", description="URL of the Bot API, or of your own server for it."
    )
    telegram_closes: bool = Field(default=False, description="Whether every closed trade is reported too.")
    telegram_control: bool = Field(default=False, description="Listed users may pause, halt and resume bots there, after a confirmation.")
    notice_quiet_minutes: float = Field(
        10.0, ge=0.0, le=1_440.0, description="Events this soon after a message are counted and reported once, wall minutes."
    )

    # Servers
    dagster_url: str = Field("", description="URL of Dagster's web server for links; empty: 127.0.0.1 at its port.")
    dagster_port: int = Field(3000, ge=1, le=65_535, description="Dagster's web server, on 127.0.0.1.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names that the web servers accept besides 127.0.0.1 and localhost, without ports."
    )
    metrics_port: int = Field(9310, ge=1, le=65_535, description="The metrics page for Prometheus (`bot3 metrics`), on 127.0.0.1.")
    dashboard_port: int = Field(8501, ge=1, le=65_535, description="The dashboard, on 127.0.0.1.")

    # Databases of production: a bot with a host has its store on PostgreSQL, else in a SQLite file of the home
    bot1_db_host: str = ""
    bot1_db_name: str = "bot1"
    bot1_db_user: str = "bot1"
    bot1_db_password: SecretStr = SecretStr("")
    bot1_db_port: int = Field(5432, ge=1, le=65_535)
    bot2_db_host: str = ""
    bot2_db_name: str = "bot2"
    bot2_db_user: str = "bot2"
    bot2_db_password: SecretStr = SecretStr("")
    bot2_db_port: int = Field(5432, ge=1, le=65_535)
    bot3_db_host: str = ""
    bot3_db_name: str = "bot33"
    bot3_db_user: str = "bot3"
    bot3_db_password: SecretStr = SecretStr("")
    bot3_db_port: int = Field(5432, ge=1, le=65_535)
    platform_db_host: str = ""
    platform_db_name: str = "bot3"
    platform_db_user: str = "bot3"
    platform_db_password: SecretStr = SecretStr("")
    platform_db_port: int = Field(5432, ge=1, le=65_535)

    # InfluxDB: if a URL is set, learning and closed trades are published to it
    influx_url: str = ""
    influx_org: str = "freqtrade"
    influx_token: SecretStr = SecretStr("")
    influx_bucket: str = "bot3_learning"
    bot1_influx_bucket: str = "BOT1_trades"
    bot2_influx_bucket: str = "BOT2_trades"
    bot3_influx_bucket: str = "BOT33_trades"
    influx_timeout_s: float = Field(10.0, gt=0.0, le=120.0, description="Timeout of one write or check of the publisher, seconds.")
    influx_read_timeout_s: float = Field(
        2.0, gt=0.0, le=60.0, description="Timeout of a reader of learning, seconds; after it, the last values that were read are used."
    )
    influx_poll_s: float = Field(
        0.2, gt=0.0, le=60.0, description="Interval at which a reader of learning polls for new publications, seconds."
    )
    influx_learning_days: int = Field(0, ge=0, description="Retention of the learning bucket, wall days; 0: unlimited.")
    influx_trades_days: int = Field(0, ge=0, description="Retention of the trades' buckets, wall days; 0: unlimited.")

    @field_validator("allowed_hosts")
    @classmethod
    def _are_host_names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not is_host_name(host):
                raise ValueError(
                    f"{host!r} is not a host name: set names or addresses without scheme, port, path or wildcard, such as bot.example"
                )
        return hosts

    @field_validator("leverage_bins")
    @classmethod
    def _are_edges(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        try:
            return LeverageBins(edges).edges
        except InvalidTradeError as error:
            raise ValueError(str(error)) from error

    @field_validator("meta_learner_interval_s")
    @classmethod
    def _divides_an_hour(cls, seconds: int) -> int:
        # A cron schedule starts anew every hour: every 40 minutes would run at :00 and :40, and at :00 again.
        if seconds % 60 or 3_600 % seconds:
            raise ValueError(f"must be whole minutes that divide an hour (60, 120, 180, 240, 300, 360, 600, ... 3600), was {seconds}")
        return seconds

    @model_validator(mode="after")
    def _caps_inside_the_bins(self) -> Self:
        lowest, highest = self.bins.lowest, self.bins.highest
        # The default may be above the last edge: then that edge is the cap.
        if self.leverage_cap < lowest or (self.leverage_cap > highest and "leverage_cap" in self.model_fields_set):
            raise ValueError(
                f"{PREFIX}LEVERAGE_CAP must be inside {PREFIX}LEVERAGE_BINS, from {lowest:g} to {highest:g}, was {self.leverage_cap:g}: "
                "change one of the two"
            )
        return self

    @model_validator(mode="after")
    def _outlive_the_beat(self) -> Self:
        for name in ("recommendations_life_s", "parameters_life_s"):
            if getattr(self, name) <= self.meta_learner_interval_s:
                raise ValueError(
                    f"BOT3_{name.upper()} must be above BOT3_META_LEARNER_INTERVAL_S ({self.meta_learner_interval_s}), was "
                    f"{getattr(self, name)}: what is published would expire before it is renewed, and entries would stop"
                )
        return self

    @model_validator(mode="after")
    def _somebody_is_told(self) -> Self:
        if self.telegram_token.get_secret_value() and not self.telegram_chat_id:
            raise ValueError("BOT3_TELEGRAM_TOKEN is set, but BOT3_TELEGRAM_CHAT_ID is not: set the chat that is notified")
        return self

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.daily_loss_halted > self.daily_loss_reducing:
            raise ValueError("daily_loss_halted must be at or below daily_loss_reducing")
        if self.trading_mode == "live":
            raise ValueError("trading_mode live is not available yet: this release trades on paper only")
        if self.parameters_from == "influx" and not self.influx_url:
            raise ValueError("parameters_from is influx, but influx_url is empty: set the URL of the server")
        return self

    @model_validator(mode="after")
    def _name_buckets(self) -> Self:
        names = {name: getattr(self, name) for name in ("influx_bucket", "bot1_influx_bucket", "bot2_influx_bucket", "bot3_influx_bucket")}
        for setting, bucket in names.items():
            if not bucket or bucket.startswith("_") or '"' in bucket:
                raise ValueError(
                    f"{PREFIX}{setting.upper()} is {bucket!r}: a bucket's name is not empty, does not begin with _ and contains no quotes"
                )
            if other := next((name for name in names if name < setting and names[name] == bucket), None):
                raise ValueError(f"{PREFIX}{other.upper()} and {PREFIX}{setting.upper()} are both {bucket!r}: set a bucket for each")
        return self

    @property
    def candle_directories(self) -> tuple[Path, ...]:
        """Return the directories of candle files; an empty tuple means that the market is simulated."""
        return tuple(Path(part) for part in self.candles.split(os.pathsep) if part)

    @property
    def bins(self) -> LeverageBins:
        """Return the leverage bins."""
        return LeverageBins(self.leverage_bins)

    @property
    def longest_trade(self) -> timedelta:
        """Return the longest time in a trade as a duration."""
        return timedelta(hours=self.longest_trade_hours)

    @property
    def exit_rules(self) -> ExitRules:
        """Return the exit rules other than stop and target; the break-even activation is infinite if that rule is off."""
        return ExitRules(
            giveback_activation_sigma=self.giveback_activation_sigma,
            giveback_share=self.giveback_share,
            break_even_activation_sigma=self.break_even_activation_sigma or math.inf,
        )

    @property
    def dagster_address(self) -> str:
        """Return the URL of Dagster's pages, without a slash at its end."""
        return (self.dagster_url or f"http://127.0.0.1:{self.dagster_port}").rstrip("/")

    @property
    def run_modes(self) -> tuple[RunMode, ...]:
        """Return the run modes whose trades are learned from together."""
        return tuple(RunMode(name) for name in self.learn_from)

    def secrets(self) -> tuple[str, ...]:
        """Return the secret values that are set, which must never be shown."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return tuple(v.get_secret_value() for v in values if isinstance(v, SecretStr) and v.get_secret_value())


def load_settings(environment: Mapping[str, str] | None = None, *, env_file: Path = Path(".env"), **overrides: Any) -> Settings:
    """Load settings: `overrides` take precedence over the environment, the environment over `.env`, and that over the defaults.

    Raises
    ------
    SettingsError
        For an unknown name, an unreadable `.env` or secret file, or a value out of bounds; the text names the variable, never a secret
        value.
    """
    named = named_variables(os.environ if environment is None else environment, env_file=env_file, prefix=PREFIX)
    values = _resolve(named) | overrides
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _resolve(named: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in named.items():
        field = name.removeprefix(PREFIX).lower()
        if field in Settings.model_fields:
            values[field] = _parsed(field, text)
        elif field.endswith("_file") and _is_secret(field.removesuffix("_file")):
            values[field.removesuffix("_file")] = _secret_of_file(name, text, also=name.removesuffix("_FILE") in named)
        else:
            raise SettingsError(f"{name} is not a setting{_nearest(field)}; remove it or correct the name (docs/settings.md lists all)")
    return values


def _parsed(field: str, text: str) -> Any:
    if field in {"leverage_bins", "learn_from", "telegram_users", "allowed_hosts"}:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if field in {"fleet_file", "markets_file", "break_even_activation_sigma"} and not text:
        return None
    if field == "telegram_chat_id" and not text:
        return 0
    return text


def _is_secret(field: str) -> bool:
    return field in Settings.model_fields and Settings.model_fields[field].annotation is SecretStr


def _secret_of_file(name: str, path: str, *, also: bool) -> str:
    if also:
        raise SettingsError(f"{name} and {name.removesuffix('_FILE')} are both set: remove one")
    return text_of_file(Path(path), shown=f"{name} names {path}, which cannot be read").strip()


def _nearest(field: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    near = get_close_matches(field, list(Settings.model_fields), n=1)
    return f" (did you mean {PREFIX}{near[0].upper()}?)" if near else ""


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        name = PREFIX + str(item["loc"][0]).upper() if item["loc"] else "settings"
        lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
