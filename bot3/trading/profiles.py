"""Trading rules of a bot: directions, stop and target without learning, size and limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot3.errors import InvalidTradeError
from bot3.trading.exit_rules import ExitRules
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.risk import RiskLimits
from bot3.trading.trades import DIRECTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """Limits of a trade's notional, ratios of the equity.

    Parameters
    ----------
    risk_ratio : float
        Target standard deviation of a trade's result.
    stake_ratio, notional_ratio : float
        Maximum stake of an order, and maximum notional of a pair.
    """

    risk_ratio: float
    stake_ratio: float
    notional_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BotProfile:
    """Rules of one bot; every value is configured in the settings.

    Parameters
    ----------
    directions : frozenset of str
        "long", "short" or both.
    is_learned : bool
        False: a control bot, which trades the most confident signal of a pair with the stop and target below. True: it uses the learned
        parameters and the recommendation.
    bins : LeverageBins
        The home's leverage bins.
    leverage_cap : float
        Highest leverage of an entry, inside the bins.
    target_volatility : float
        Target volatility of the stake over a trade's horizon, by which the leverage is chosen.
    wallet_abs : float
        Initial equity of a backtest and of a new paper account, in stake currency.
    stop_loss, take_profit : float
        Stop and target without learning, ratios of the stake: a distance before fees, below 0, and a profit after fees, above 0.
    longest_trade : timedelta
        Maximum duration of a trade of any horizon; then it is exited.
    exit_rules : ExitRules
        Giveback and break-even stop.
    max_stake_ratio, max_pair_notional_ratio, max_gross_notional_ratio : float
        Highest stake of one order, highest notional on one pair, and highest notional on all pairs together, as ratios of the equity.
    """

    name: str
    directions: frozenset[str]
    is_learned: bool
    bins: LeverageBins
    leverage_cap: float
    target_volatility: float
    wallet_abs: float
    max_open_trades: int
    stop_loss: float
    take_profit: float
    longest_trade: timedelta
    exit_rules: ExitRules
    max_stake_ratio: float
    max_pair_notional_ratio: float
    max_gross_notional_ratio: float
    limits: RiskLimits

    def __post_init__(self) -> None:
        if not self.directions or not self.directions <= set(DIRECTIONS):
            raise InvalidTradeError(f"{self.name}: directions must be of {DIRECTIONS}, were {sorted(self.directions)}")
        if not self.bins.lowest <= self.leverage_cap <= self.bins.highest:
            raise InvalidTradeError(
                f"{self.name}: leverage_cap must be from {self.bins.lowest:g} to {self.bins.highest:g}, was {self.leverage_cap}"
            )
        if not -1.0 < self.stop_loss < 0.0 < self.take_profit:
            raise InvalidTradeError(
                f"{self.name}: stop_loss must be between -1 and 0, take_profit above 0, were {self.stop_loss}, {self.take_profit}"
            )
        self._require_positive()

    @property
    def size_limits(self) -> SizeLimits:
        """Return the limits of a trade's notional; the risk target is that of the control bots, target volatility x maximum stake."""
        return SizeLimits(
            risk_ratio=self.target_volatility * self.max_stake_ratio,
            stake_ratio=self.max_stake_ratio,
            notional_ratio=self.max_pair_notional_ratio,
        )

    def _require_positive(self) -> None:
        for name in (
            "target_volatility",
            "wallet_abs",
            "max_open_trades",
            "max_stake_ratio",
            "max_pair_notional_ratio",
            "max_gross_notional_ratio",
        ):
            if not getattr(self, name) > 0:
                raise InvalidTradeError(f"{self.name}: {name} must be above 0, was {getattr(self, name)}")
        if not self.longest_trade > timedelta(0):
            raise InvalidTradeError(f"{self.name}: longest_trade must be above 0, was {self.longest_trade}")

    def horizon_of(self, source: Horizon) -> Horizon:
        """Return the horizon of trades on a source's signals: the source's, or the one that covers `longest_trade` if that is shorter."""
        return Horizon.covering(min(source.duration, self.longest_trade))

    def duration_of(self, source: Horizon) -> timedelta:
        """Return the time after a signal at which this bot's trade on it is exited at the latest."""
        return min(source.duration, self.longest_trade)
