"""Print an audit as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot3.cli.audit_words import interval, left_out_words, verdict_words, warnings_of
from bot3.cli.output import percent, print_table, results
from bot3.learning.evaluation.comparison import Comparison, IntervalEstimate
from bot3.trading.figures import MoneyFigures
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.parameters import ANY, ExitParameters
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.audit.report import AuditReport, GroupComparison, SeveralOrders
from bot3.usecases.learning.left_out import UnusedTrades

GROUP_COLUMNS = ("group", "trades", "days", "realised", "static", "learned", "gain", "interval", "verdict")
PARAMETER_COLUMNS = ("group", "stop", "target", "reward/risk", "trades", "n_eff", "own data", "expected", "interval", "judged", "kept")
_SHORT_GROUP_COLUMNS = ("group", "trades", "days", "static", "learned", "gain (interval)", "verdict")
_SHORT_PARAMETER_COLUMNS = ("group", "stop", "target", "trades", "n_eff", "expected (90 %)", "judged", "kept")
PARAMETER_TITLE = (
    "Learned from all used trades: stop and target, ratios of the stake; expected, and kept on judged trades, ratios of the price"
)
SEVERAL_TITLE = "Trades with several entries or exits, replayed from their orders: mean of a trade, ratio of the stake with leverage"
_IDS_SHOWN = 10


def print_report(report: AuditReport) -> None:
    """Print a report on standard output in tables with few columns.

    Groups by several of pair, direction and leverage bin, and the parameters of single leverage bins, are left out.
    """
    results.print(f"{report.database}: {_span(report)}")
    results.print(f"\n{verdict_words(report)}\n", style="bold")
    if (left_out := left_out_words(report)) is not None:
        results.print(f"{left_out}\n")
    print_table("Mean of a trade, net of all costs, ratio of the stake with leverage", ("what", "value"), figure_rows(report))
    for title, groups in group_tables(report):
        print_table(title, _SHORT_GROUP_COLUMNS, [_short_group_cells(group) for group in groups])
    rows = [row for row in shown_parameters(report) if row.leverage_bin == ANY]
    if rows:
        print_table(PARAMETER_TITLE, _SHORT_PARAMETER_COLUMNS, [_short_parameter_cells(row, report) for row in rows])
    if report.several_orders is not None:
        print_table(SEVERAL_TITLE, ("what", "value"), several_rows(report.several_orders))
    if report.unused:
        print_table("Trades that could not be used", ("trades", "why", "ids"), [unused_cells(unused) for unused in report.unused])
    for warning in warnings_of(report):
        results.print(f"note: {warning}", style="yellow")


def figure_rows(report: AuditReport) -> list[tuple[str, str]]:
    """Return the key figures as pairs of label and text; figures that are unknown (None) have no row."""
    counts, realised, costs = report.counts, report.realised, report.costs
    rows = [
        (
            "closed trades",
            f"{counts.closed} ({counts.used} used: {counts.fitted} fitted, {counts.embargoed} embargoed, {counts.judged} judged)",
        ),
        (f"{_realised_label(report)}, mean of the trades", f"{percent(realised.avg_profit)}, win rate {_ratio(realised.win_rate)}"),
        *(_money_row(found, _realised_label(report)) for found in report.money),
    ]
    if report.split_at is not None:
        rows.append(("judged from", f"{report.split_at:%Y-%m-%d %H:%M} UTC, embargo of {report.horizon_hours:g} h before"))
    if report.static_whole is not None:
        levels = f"static {percent(report.static_stop_loss)} / {percent(report.static_take_profit)}"
        rows.append((f"{levels}, all used", _estimate(report.static_whole)))
    if report.overall is not None:
        rows += _judged_rows(report.overall)
    if report.promise is not None:
        promise = report.promise
        rows += [
            ("gain on fitted trades, of the price", f"{percent(promise.gain_fitted_move, 3)} (seen by the learner, so not evidence)"),
            ("learned: expected, of the price", percent(promise.expected_move, 3)),
            ("learned: kept, of the price", _estimate(promise.kept, 3)),
            ("optimism (expected - kept)", percent(promise.optimism_move, 3)),
        ]
    source = "median of the trades" if costs.fee_is_from_trades else "as requested"
    if report.break_even_activation_sigma is not None:
        rows.append(("stop moved to break-even", f"from a move of {report.break_even_activation_sigma:g} sigma, static and learned"))
    return [
        *rows,
        ("costs a side", f"fee {costs.fee:.3%} ({source}), slippage {costs.slippage:.3%}, stops {costs.stop_slippage:.3%} more"),
    ]


def several_rows(several: SeveralOrders) -> list[tuple[str, str]]:
    """Return the figures of trades with several entries or exits, as pairs of label and text."""
    rows = [
        (
            "trades",
            f"{several.trades} ({several.n} replayed, the others are listed below)" if several.unreplayed else f"{several.n}, all replayed",
        )
    ]
    if several.static is not None:
        rows += [
            ("realised", percent(several.realised_profit)),
            ("static", _estimate(several.static)),
            ("ended", _endings(several)),
            ("orders before the simulated exit", f"{several.orders_done} of {several.orders}; the others are not simulated"),
            ("simulated exit after the real one", f"{_ratio(several.outlived_share)}: entries the bot would have added then are unknown"),
            ("order of events assumed", f"{_ratio(several.ambiguous_share)} ended in a candle with both levels or an order in it"),
        ]
    if several.funding_missing_share:
        rows.append(("funding unknown, counted as zero", _ratio(several.funding_missing_share)))
    if several.judged is not None:
        rows += [
            ("entered after the split", f"{several.judged.n}: static {percent(several.judged.static_profit)}"),
            ("learned from single entries, on those", percent(several.judged.learned_profit)),
            ("gain (learned - static), on those", f"{_estimate(several.judged.gain)}: {several.judged.verdict}"),
        ]
    return [*rows, *((f"not replayed: {unused.reason}", _counted(unused)) for unused in several.unreplayed)]


def _endings(several: SeveralOrders) -> str:
    shares = {
        "stop": several.stopped_share,
        "target": several.reached_share,
        "end of the horizon": several.held_share,
        "liquidation": several.liquidated_share,
    }
    return ", ".join(f"{name} {_ratio(share)}" for name, share in shares.items())


def _counted(unused: UnusedTrades) -> str:
    count, _, ids = unused_cells(unused)
    return f"{count} trades: {ids}"


def _money_row(found: MoneyFigures, label: str) -> tuple[str, str]:
    """Return label and text of the realised profit in money of the closed trades in one stake currency."""
    earned = found.return_on_stake
    interval_words = f"90 %: {fmt.interval(earned.low, earned.high)}" if earned.low is not None else f"no interval: {_no_interval(found)}"
    figures = f"{fmt.money(found.profit_abs, found.currency)}, {percent(earned.value)} of all stakes ({interval_words})"
    rests = f"profit factor {fmt.number(found.profit_factor)}, {found.n} trades on {found.days} days"
    return f"{label}, {fmt.currency_name(found.currency)}", f"{figures}, {rests}"


def _no_interval(found: MoneyFigures) -> str:
    return f"fewer than {MIN_DAYS} days" if found.days < MIN_DAYS else "the stakes are spread over too few days"


def _realised_label(report: AuditReport) -> str:
    n, closed = report.realised.n, report.counts.closed
    return "realised, all closed trades" if n == closed else f"realised, {n} of {closed} closed trades (the others are impossible)"


def group_tables(report: AuditReport) -> Sequence[tuple[str, Sequence[GroupComparison]]]:
    """Return the tables of groups with their titles; a table without groups is left out."""
    note = "intervals are simultaneous at 95 %"
    tables = (
        (f"Judged trades by pair ({note})", report.by_pair),
        (f"By direction ({note})", report.by_direction),
        (f"By leverage bin ({note})", report.by_bin),
    )
    return [(title, groups) for title, groups in tables if groups]


def group_cells(group: GroupComparison) -> tuple[Any, ...]:
    """Return the cells of a row of `GROUP_COLUMNS`."""
    found = group.comparison
    profits = (percent(found.realised_profit), percent(found.static_profit), percent(found.learned_profit), percent(found.gain.mean))
    return (group.key, found.n, found.days, *profits, _ends(found.gain), str(found.verdict))


def shown_parameters(report: AuditReport) -> list[ExitParameters]:
    """Return the parameter rows to show, sorted by pair, direction and bin.

    Rows without trades, and those of all pairs in both directions (the root and the leverage bins), are left out.
    """
    rows = [row for row in report.parameters if row.trades_count and (row.pair != ANY or row.direction != ANY)]
    return sorted(rows, key=lambda row: row.order)


def parameter_cells(row: ExitParameters, report: AuditReport) -> tuple[Any, ...]:
    """Return the cells of a row of `PARAMETER_COLUMNS`."""
    return (
        row.key,
        percent(row.stop_loss),
        fmt.NO_TARGET if row.has_target is False else percent(row.take_profit_target),
        f"{row.take_profit_move / -row.stop_move:.2f}",
        row.trades_count,
        f"{row.n_eff:.0f}",
        f"{row.own_share:.0%}".replace("%", " %"),
        percent(row.expectancy, 3),
        _bounds(row, report),
        *_kept(row, report),
    )


def unused_cells(unused: UnusedTrades) -> tuple[Any, ...]:
    """Return the number of trades, the reason, and up to ten trade ids."""
    more = f" and {unused.count - _IDS_SHOWN} more" if unused.count > _IDS_SHOWN else ""
    return unused.count, unused.reason, ", ".join(map(str, unused.trade_ids[:_IDS_SHOWN])) + more


def _short_group_cells(group: GroupComparison) -> tuple[Any, ...]:
    found = group.comparison
    gain = f"{percent(found.gain.mean)} ({_ends(found.gain)})"
    return group.key, found.n, found.days, percent(found.static_profit), percent(found.learned_profit), gain, str(found.verdict)


def _short_parameter_cells(row: ExitParameters, report: AuditReport) -> tuple[Any, ...]:
    expected = f"{percent(row.expectancy, 3)} ({_bounds(row, report)})"
    return (
        f"{row.pair}|{row.direction}",
        percent(row.stop_loss),
        fmt.NO_TARGET if row.has_target is False else percent(row.take_profit_target),
        row.trades_count,
        f"{row.n_eff:.0f}",
        expected,
        *_kept(row, report),
    )


def _bounds(row: ExitParameters, report: AuditReport) -> str:
    if not report.has_interval(row):
        return f"no interval from fewer than {MIN_DAYS} days"
    return f"{percent(row.lower_bound, 3)} to {percent(row.upper_bound, 3)}"


def _kept(row: ExitParameters, report: AuditReport) -> tuple[int, str]:
    found = report.judged(row)
    return (0, percent(None)) if found is None else (found.n, percent(found.learned_move, 3))


def _ends(estimate: IntervalEstimate) -> str:
    return interval(estimate).removeprefix("95 %: ")


def _judged_rows(overall: Comparison) -> list[tuple[str, str]]:
    return [
        ("realised, judged trades", percent(overall.realised_profit)),
        ("static, judged trades", percent(overall.static_profit)),
        ("learned, judged trades", percent(overall.learned_profit)),
        ("gain (learned - static)", _estimate(overall.gain)),
        ("gain of the price", _estimate(overall.gain_move, 3)),
    ]


def _estimate(estimate: IntervalEstimate, digits: int = 2) -> str:
    return f"{percent(estimate.mean, digits)} ({interval(estimate, digits)})"


def _ratio(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.0%}".replace("%", " %")


def _span(report: AuditReport) -> str:
    days = f"{report.first_open:%Y-%m-%d} to {report.last_close:%Y-%m-%d}"
    mode = " of a backtest" if report.run_mode is RunMode.BACKTEST else ""
    return f"{report.counts.closed} closed trades{mode} from {days}, {report.timeframe} candles"
