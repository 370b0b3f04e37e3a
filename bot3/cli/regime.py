"""`bot3 regime`: show the published market regime and the newest recommendation, which may have expired."""

from __future__ import annotations

import typer

from bot3.cli.output import JsonFlag, print_json, results
from bot3.cli.session import seeded_platform
from bot3.market.regimes import Regime
from bot3.usecases import formatting as fmt
from bot3.usecases.terms import definitions


def register(app: typer.Typer) -> None:
    """Add the command `regime` to the command line."""
    app.command(epilog=definitions("regime", "detector", "recommendation", "known at", "market time", "wall time"))(regime)


def regime(*, as_json: JsonFlag = False) -> None:
    """Show the regime, its probabilities, and the meta-learner's recommendation."""
    with seeded_platform() as platform:
        now = platform.clock.now()
        state = platform.record.regimes.as_of(now)
        recommendation, anchor = platform.record.recommendations.as_of(now), platform.control.anchor()
    if as_json:
        print_json({"regime": state, "recommendation": recommendation, "is_expired": now >= recommendation.expires_at})
        return
    odds = ", ".join(f"{name.value} {share:.0%}" for name, share in zip(Regime, state.probabilities, strict=True))
    results.print(f"{state.regime.value} since {state.since:%Y-%m-%d %H:%M} UTC, known at {state.known_at:%Y-%m-%d %H:%M} ({odds})")
    results.print(f"by the detector {fmt.version(state.version)}")
    results.print(
        f"top feeders {list(recommendation.top_feeders)} (tier {recommendation.top_tier}), avoid {list(recommendation.avoid_feeders)}"
    )
    results.print(f"{fmt.leverage(recommendation)}, size x {recommendation.suggested_position_size_multiplier:.2f}")
    results.print(fmt.expiry(recommendation.expires_at, now=now, anchor=anchor))
    results.print(f"expires at {recommendation.expires_at:%Y-%m-%d %H:%M} (market time)")
