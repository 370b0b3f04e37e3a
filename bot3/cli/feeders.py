"""`bot3 feeders`: show the published score of each feeder, with its number of shadow trades and its interval."""

from __future__ import annotations

import typer

from bot3.cli.output import JsonFlag, percent, print_json, print_table
from bot3.cli.session import seeded_platform
from bot3.usecases.learning.tier_reasons import why_tier
from bot3.usecases.terms import definitions


def register(app: typer.Typer) -> None:
    """Add the command `feeders` to the command line."""
    app.command(epilog=definitions("tier", "probe", "shadow", "n", "effective n", "expectancy", "90 % interval", "confidence"))(feeders)


def feeders(*, as_json: JsonFlag = False) -> None:
    """Show feeder scores over all regimes, best first, with n and interval."""
    with seeded_platform() as platform:
        scores = platform.record.feeder_scores.as_of(platform.clock.now())
        window = f"last {platform.settings.lookback_days} d"
    if as_json:
        print_json({"scores": list(scores)})
        return
    overall = sorted((score for score in scores if score.regime == "*"), key=lambda score: score.rank)
    print_table(
        "Shadow trades after costs, ratios of the price",
        ("rank", "feeder", "tier", "n", "n_eff", "expectancy", "90 % interval", "P(> 0)", f"{window}: n", f"{window}: mean", "why"),
        [
            (
                score.rank,
                score.feeder_id,
                score.tier,
                score.n,
                f"{score.n_eff:.0f}",
                percent(score.expectancy, 3),
                f"{percent(score.lower_bound, 3)} to {percent(score.upper_bound, 3)}",
                f"{score.confidence:.2f}",
                score.n_window,
                percent(score.mean_move_window, 3),
                why_tier(score),
            )
            for score in overall
        ],
    )
