"""Asset of the learned stops and targets."""

from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from bot3.learning.validity import problems_of
from bot3_assets.freshness import every_beat
from bot3_assets.plots import Interval, plot_intervals
from bot3_assets.resources import PlatformResource
from bot3_assets.retries import tried_again

if TYPE_CHECKING:
    from bot3.trading.parameters import ExitParameters, ParameterSet
    from bot3.wiring import Platform


@dg.asset(
    deps=["trade_replays"],
    group_name="learning",
    kinds={"numpy", "sqlite"},
    owners=["team:research"],
    freshness_policy=every_beat,
)
@tried_again()
def adaptive_params(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Stop and target of every pair, direction and leverage bin, pooled towards its parents; a run refits the pooling and all rows."""
    opened = platform.platform()
    opened.steps.learn_parameters()
    return dg.MaterializeResult(metadata=adaptive_params_metadata(opened))


@dg.asset_check(asset=adaptive_params, blocking=True, description="Every row is within its bounds, and the parameters have not expired.")
def parameters_are_lawful(platform: PlatformResource) -> dg.AssetCheckResult:
    """Fail if a published parameter row is out of bounds or the parameters have expired, so that no recommendation is based on them."""
    opened = platform.platform()
    now = opened.clock.now()
    return parameters_verdict(opened.record.parameters.as_of(now), now=now)


def adaptive_params_metadata(platform: "Platform") -> dict[str, dg.MetadataValue]:
    """Return version, expiry and counts of the published parameters, and the stop and target of the rows over all pairs.

    The picture and `global_expectancy` are those of the horizon with the most trades (`main_horizon`); `global_trades` counts all.
    """
    parameters = platform.record.parameters.as_of(platform.clock.now())
    rows = sorted(parameters.rows.values(), key=lambda row: row.order)
    of_all = [row for row in rows if (row.pair, row.direction) == ("*", "*")]
    roots = [row for row in of_all if row.key.startswith("*|*|*")]
    main = max(roots, key=lambda row: row.trades_count)
    return {
        "dagster/row_count": dg.MetadataValue.int(len(rows)),
        "version": dg.MetadataValue.text(parameters.version),
        "revision": dg.MetadataValue.int(parameters.revision),
        "known_at": dg.MetadataValue.text(parameters.known_at.isoformat()),
        "expires_at": dg.MetadataValue.text(parameters.expires_at.isoformat()),
        "rows_that_trade": dg.MetadataValue.int(sum(row.state == "trade" for row in rows)),
        "main_horizon": dg.MetadataValue.text(main.horizon.value),
        "global_expectancy": dg.MetadataValue.float(main.expectancy),
        "global_trades": dg.MetadataValue.int(sum(row.trades_count for row in roots)),
        "stop_to_target": plot_intervals(
            [
                Interval(label=_group(row), low=row.stop_loss, mark=row.expectancy, high=row.take_profit_target)
                for row in of_all
                if row.horizon is main.horizon
            ],
            title="stop to target by bin",
        ),
        "by_bin": dg.MetadataValue.md(_table([row for row in rows if row.pair == "*"])),
    }


def parameters_verdict(parameters: "ParameterSet", *, now: datetime) -> dg.AssetCheckResult:
    """Pass if every row is within its bounds, the row over all groups exists, and the set has not expired; name the rows that fail."""
    problems = {row.key: problems_of(row) for row in parameters.rows.values()}
    broken = {key: "; ".join(f"{field} {problem}" for field, problem in found.items()) for key, found in problems.items() if found}
    if "*|*|*" not in parameters.rows:
        broken["*|*|*"] = "is missing"
    expired = now >= parameters.expires_at
    return dg.AssetCheckResult(
        passed=not broken and not expired, metadata={"broken": broken, "expired": expired, "version": parameters.version}
    )


def _group(row: "ExitParameters") -> str:
    """Return a label for a row over all pairs, "long 2.0-3.5" or "all"; its key contains bars, which would end a table cell."""
    return " ".join(part for part in (row.direction, row.leverage_bin) if part != "*") or "all"


def _target(row: "ExitParameters") -> str:
    return "none" if row.has_target is False else f"{row.take_profit_target:.2%}"


def _table(rows: "list[ExitParameters]") -> str:
    lines = [
        f"| {_group(r)} | {r.stop_loss:.2%} | {_target(r)} | {r.trades_count} | {r.n_eff:.0f} "
        f"| {r.expectancy:.3%} ({r.lower_bound:.3%} to {r.upper_bound:.3%}) | {r.state} |"
        for r in rows
    ]
    head = "| group | stop | target | n | n eff | expectancy (90 %) | state |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *lines])
