"""Page Feeders: the score and tier of each feeder with its number of shadow trades, and the feeders' models."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bot3.trading.recommendations import FeederScore
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.trade_cache import known
from bot3.usecases.learning.tier_reasons import why_tier
from bot3.usecases.terms import definitions
from dashboard import charts
from dashboard.cells import COUNT, FINE_RATIO, LOSS, RATIO, SHARE, TENTH
from dashboard.home import DashboardHome
from dashboard.page import missing, not_known, table

ALL_REGIMES = "*"
MODELS = 40

_CELLS = {
    "rank": COUNT,
    "expectancy": FINE_RATIO,
    "P(expectancy > 0)": SHARE,
    "n": COUNT,
    "effective n": TENTH,
    "win rate": SHARE,
    "raw mean": FINE_RATIO,
    "own share": SHARE,
    "n in window": COUNT,
    "win rate in window": SHARE,
    "mean in window": FINE_RATIO,
}


def render(home: DashboardHome) -> None:
    """Show the page Feeders."""
    st.title("Feeders")
    _show_scores(home)
    _show_models(home)


def _show_scores(home: DashboardHome) -> None:
    now = home.ports.clock.now()
    scores = known(lambda: home.ports.record.feeder_scores.as_of(now))
    if scores.value is None:
        not_known(scores, "No feeder is scored yet.", "Every feeder is shadow-traded all the time; scores follow its closes.")
        return
    regimes = sorted({score.regime for score in scores.value})
    regime = str(st.segmented_control("regime", regimes, default=_default(regimes), format_func=_regime_name, required=True, key="regime"))
    ranked = sorted((score for score in scores.value if score.regime == regime), key=lambda score: score.rank)
    newest = ranked[0]
    st.caption(
        f"Version {fmt.version(newest.version)} from the record {home.ports.record.store_id[:8]}, "
        f"known at {fmt.stamp(newest.known_at)} "
        f"({fmt.age(newest.known_at, now=now)}, market time). From shadow trades of every feeder, traded or not: net ratio of the price "
        "a trade, posterior with its 90 % interval. Ranks whose intervals overlap are not told apart by the data.",
        help=definitions("shadow trade", "tier", "probe", "shadow", "known at", "market time"),
    )
    figure = charts.expectancy_chart([f"{score.rank}. {score.feeder_id} {score.tier.value}" for score in ranked], ranked)
    st.plotly_chart(figure, alt="Posterior expectancy of each feeder with its 90 % interval, best first", key="feeder_scores")
    settings = home.settings
    frame = score_frame(ranked, minimum=settings.min_trades_per_feeder)
    table(frame, cells=_CELLS, alt="Feeders by rank with n, interval and window", key="feeder_rows")
    st.caption(
        f"The window shows the last {settings.lookback_days} days beside the long memory; fewer than {settings.min_trades_per_feeder} "
        "shadow trades in it show no figure. It ranks nothing."
    )


def _default(regimes: Sequence[str]) -> str:
    return ALL_REGIMES if ALL_REGIMES in regimes else regimes[0]


def _regime_name(regime: str) -> str:
    return "all regimes" if regime == ALL_REGIMES else regime.replace("_", " ")


def score_frame(ranked: Sequence[FeederScore], *, minimum: int) -> pd.DataFrame:
    """Return a row per score; the window's win rate and mean are None if it has fewer than `minimum` shadow trades."""
    return pd.DataFrame([_cells(score, has_window=score.n_window >= minimum) for score in ranked])


def _cells(score: FeederScore, *, has_window: bool) -> dict[str, object]:
    return {
        "rank": score.rank,
        "feeder": score.feeder_id,
        "tier": score.tier.value,
        "why": why_tier(score),
        "expectancy": score.expectancy,
        "90 % interval": fmt.interval(score.lower_bound, score.upper_bound, 3),
        "n": score.n,
        "effective n": score.n_eff,
        "P(expectancy > 0)": score.confidence,
        "own share": score.own_share,
        "win rate": score.win_rate,
        "raw mean": score.mean_move,
        "n in window": score.n_window,
        "win rate in window": score.win_rate_window if has_window else None,
        "mean in window": score.mean_move_window if has_window else None,
    }


def _show_models(home: DashboardHome) -> None:
    st.subheader("Models")
    models = home.ports.record.models.frame()
    if models.empty:
        missing("No model is registered.", "`bot3 init` trains the first of each feeder; Dagster trains anew every week.")
        return
    newest = models.drop_duplicates("feeder_id").sort_values("feeder_id")
    wants_all = len(models) > len(newest) and st.toggle(f"The newest {min(MODELS, len(models))} of {len(models)}, not one of each feeder")
    chosen = models.head(MODELS) if wants_all else newest
    shown = pd.DataFrame(
        {
            "feeder": chosen["feeder_id"],
            "known at": chosen["known_at"].map(fmt.stamp),
            "trained from": chosen["trained_from"].map(fmt.stamp),
            "trained until": chosen["trained_until"].map(fmt.stamp),
            "rows": chosen["rows"],
            "log loss": chosen["log_loss_oof"],
            "of the base rate": chosen["base_log_loss_oof"],
            "gained": 1.0 - chosen["log_loss_oof"] / chosen["base_log_loss_oof"],
            "information": chosen["information"],
            "threshold, long": chosen["long_threshold"],
            "threshold, short": chosen["short_threshold"],
            "digest": chosen["digest"].map(fmt.version),
        }
    )
    cells = {
        "rows": COUNT,
        "log loss": LOSS,
        "of the base rate": LOSS,
        "gained": RATIO,
        "threshold, long": RATIO,
        "threshold, short": RATIO,
    }
    table(shown, cells=cells, alt="Registered models with their log loss out of fold", key="feeder_models")
    st.caption(
        "Log loss of the win rate is out of fold, in time order with purging. Gained: how much lower than that of always saying the base "
        "rate. Information: whether the model's forecasts of the move were informative out of fold; if not, a feeder with a rule follows "
        "the rule's expectancy, and one without makes no calls. A feeder calls where its forecast less the trade's costs exceeds the "
        "threshold of the direction."
    )
