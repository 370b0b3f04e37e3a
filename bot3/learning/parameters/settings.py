"""Settings of the learner, and its prior before any trade."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.learning.parameters.rows import GroupScale, shown_targets
from bot3.learning.replay.grids import ExitGrid, default_grid
from bot3.learning.replay.groups import Group
from bot3.learning.replay.paths import ReplayCosts
from bot3.trading.exit_rules import NO_RULES, ExitRules
from bot3.trading.leverage_bins import DEFAULT_BINS, LeverageBins
from bot3.trading.parameters import ANY
from bot3.trading.profiles import SizeLimits
from bot3.trading.trade_classes import class_parts

DEFAULT_SIZES = SizeLimits(risk_ratio=0.012, stake_ratio=0.10, notional_ratio=1.0)
_RULE = "first-touch-4"  # part of every version: increase the number when the arithmetic changes


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSettings:
    """Settings of the learner.

    Parameters
    ----------
    horizon : timedelta
        Horizon of trades that state none; `static_sigma` and the volatility of candle arrays are those over it.
    static_stop_loss, static_take_profit : float
        Stop and target of the settings, ratios of the stake; without evidence they are the best ones of every group.
    static_strength : float
        Number of effective observations at which the data of all trades have the same weight as the prior.
    size_limits : SizeLimits
        Limits of the notional of the bots that use these parameters: stop and target are chosen for trades of this size.
    exit_rules : ExitRules
        Giveback and break-even stop of the bots that use these parameters; both off by default.
    bins : LeverageBins
        The home's leverage bins.
    max_censored_share : float
        Share of the closes of a pair and direction, left out or late, above which it may not trade.
    static_sigma : float
        Volatility over `horizon` assumed before any trade, a ratio of the price.
    """

    timeframe: str = "5m"
    horizon: timedelta = timedelta(hours=24)
    costs: ReplayCosts = field(default_factory=ReplayCosts)
    grid: ExitGrid = field(default_factory=default_grid)
    size_limits: SizeLimits = DEFAULT_SIZES
    exit_rules: ExitRules = NO_RULES
    bins: LeverageBins = DEFAULT_BINS
    static_stop_loss: float = -0.03
    static_take_profit: float = 0.03
    static_strength: float = 200.0
    static_sigma: float = 0.03
    max_censored_share: float = 0.10

    @property
    def digest(self) -> str:
        """Return a digest of the replay rule and the settings, except the bins, `min_trades` and `max_censored_share`.

        A replay depends on none of them, and the version of parameters contains the names of the bins.
        """
        grid = [*self.grid.stops.tolist(), *self.grid.targets.tolist()]
        numbers = (self.static_stop_loss, self.static_take_profit, self.static_strength, self.static_sigma)
        rules = self.exit_rules.digest_content
        sizes = asdict(self.size_limits)
        return digest_of([_RULE, self.timeframe, self.horizon.total_seconds(), asdict(self.costs), sizes, rules, grid, numbers])

    def static_scale(self, group: Group) -> GroupScale:
        """Return volatility and leverage of a group without trades: the assumed volatility, and the middle of its bin (1 without bin)."""
        leverage_bin, horizon = class_parts(group[2])
        sigma = self.static_sigma * horizon.sigma_factor
        if leverage_bin == ANY:
            return GroupScale(sigma_ref=sigma, leverage_ref=1.0, leverage_max=self.bins.highest)
        low, high = self.bins.edges[self.bins.names.index(leverage_bin) :][:2]
        return GroupScale(sigma_ref=sigma, leverage_ref=(low + high) / 2.0, leverage_max=high)

    def static_surface(self, scale: GroupScale) -> NDArray[np.float64]:
        """Return the expectancy of every stop and target before any trade: minus the costs, best at the stop and target of the settings.

        It decreases by 2 bps per squared distance from these in the logarithms of stop and target; no target counts as the largest one.
        """
        stop = -self.static_stop_loss / scale.leverage_ref / scale.sigma_ref
        target = (self.static_take_profit / scale.leverage_ref + self.costs.round_trip) / scale.sigma_ref
        away = np.log(self.grid.stops / stop)[:, None] ** 2 + np.log(shown_targets(self.grid) / target)[None, :] ** 2
        surface: NDArray[np.float64] = -self.costs.round_trip - 0.0002 * away
        return surface


def digest_of(content: Any) -> str:
    """Compute the digest of JSON content."""
    return hashlib.blake2s(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
