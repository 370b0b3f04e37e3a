"""`bot3 params`: show the published parameters of each group of trades, with the data that they are based on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bot3.cli.output import JsonFlag, percent, print_json, print_table, results
from bot3.cli.session import seeded_platform
from bot3.trading.parameters import ExitParameters
from bot3.usecases import formatting as fmt
from bot3.usecases.terms import definitions

_TERMS = (
    "stop",
    "target",
    "leverage bin",
    "n",
    "replay",
    "effective n",
    "expectancy",
    "log evidence",
    "own share",
    "parent",
    "censored share",
    "probe",
    "shadow",
)

_COLUMNS = (
    *("pair", "direction", "bin", "stop", "target", "n", "replayed", "n_eff", "expectancy", "90 % interval"),
    *("deviation", "size", "growth bps", "own", "missing", "state"),
)


def register(app: typer.Typer) -> None:
    """Add the command `params` to the command line."""
    app.command(epilog=definitions(*_TERMS))(params)


def params(
    pair: Annotated[str | None, typer.Option(help='Only this pair, such as "BTC/USDT:USDT"; "*" for the parents.')] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show stop and target per pair, direction and leverage bin, with n, interval and the source of their data."""
    from bot3.usecases.learning.evidence import evidence_of_nodes, evidence_text  # noqa: PLC0415  # loads numba

    with seeded_platform() as platform:
        now = platform.clock.now()
        parameters, anchor = platform.record.parameters.as_of(now), platform.control.anchor()
        limit = platform.settings.max_censored_share
        evidence = [node for node in evidence_of_nodes(platform.record.gates, now=now) if pair is None or node.pair == pair]
    rows = [row for row in parameters.rows.values() if pair is None or row.pair == pair]
    rows.sort(key=lambda row: row.order)
    if as_json:
        times = {"known_at": parameters.known_at, "expires_at": parameters.expires_at}
        print_json({"version": parameters.version, **times, "rows": rows, "evidence": evidence})
        return
    life = fmt.expiry(parameters.expires_at, now=now, anchor=anchor)
    results.print(f"version {parameters.version[:12]}, {life}")
    results.print(f"known at {parameters.known_at:%Y-%m-%d %H:%M} UTC, expires at {parameters.expires_at:%Y-%m-%d %H:%M} (market time)")
    print_table(
        "Ratios of the stake, leverage included; expectancy and deviation of a trade are net, of the price; size and growth of the wallet",
        _COLUMNS,
        [_cells(row) for row in rows],
    )
    if evidence:
        print_table(
            f"Evidence that a pair and direction earns, until {evidence[0].counted_until} (natural logarithms)",
            ("pair", "direction", "log evidence of the log needed", "open trades", "permission"),
            [(node.pair, node.direction, evidence_text(node), node.open_trades, "open" if node.is_open else "closed") for node in evidence],
        )
    censored = [row for row in parameters.censored() if pair is None or row.pair == pair]
    if censored:
        results.print(f"May not trade. {fmt.why_censored(limit)}")
        columns = ("pair", "direction", "horizon", "closes missing from the evidence")
        cells = [(row.pair, row.direction, row.horizon.value, fmt.missing_closes(row)) for row in censored]
        print_table("Too many closes are missing", columns, cells)


def _cells(row: ExitParameters) -> tuple[Any, ...]:
    interval = f"{percent(row.lower_bound)} to {percent(row.upper_bound)}"
    missing = None if row.left_out_count is None or row.late_count is None else row.left_out_count + row.late_count
    own = f"{row.own_share:.0%}" if row.own_share > 0.0 else f"parent {row.parent}"
    return (
        row.pair,
        row.direction,
        row.leverage_bin,
        percent(row.stop_loss),
        fmt.NO_TARGET if row.has_target is False else percent(row.take_profit_target),
        row.trades_count,
        row.replays_count,
        f"{row.n_eff:.0f}",
        percent(row.expectancy, 3),
        interval,
        percent(row.deviation_move),
        percent(row.notional_ratio),
        row.utility if row.utility is None else f"{1e4 * row.utility:+.2f}",
        own,
        missing,
        row.state,
    )
