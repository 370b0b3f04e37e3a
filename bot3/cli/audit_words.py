"""Express an audit in sentences: its conclusion, and warnings about the reliability of its figures."""

from __future__ import annotations

from collections.abc import Iterator

from bot3.cli.output import percent
from bot3.learning.evaluation.comparison import MIN_TRADES, IntervalEstimate, Verdict
from bot3.trading.intervals import MIN_DAYS
from bot3.usecases.audit.report import AuditReport

_OUTSIDE_SHARE = 0.1
_FUNDING_SHARE = 0.0
_SEVERAL_SHARE = 0.1
_SEVERAL_ASSUMED = (
    "assumed with several orders: an order takes effect at the end of its candle; an entry moves the average rate and target, "
    "and the stop is placed again from the average but only tightens; partial exits realise their part at their own rate; profit is over "
    "the value of all entries before the simulated exit; orders after it are not simulated"
)
_REASONS_SHOWN, _REASON_LENGTH = 4, 90


def verdict_words(report: AuditReport) -> str:
    """Return the conclusion in one sentence."""
    overall = report.overall
    if not report.counts.used:
        return "Nothing was learned: no trade has one entry and one exit that its candles cover (reasons below)."
    if overall is None:
        return "Not enough evidence: no trade was entered after the split, so none can be judged."
    if not report.is_learned:
        fitted = f"{report.counts.fitted} trades on {report.counts.fitted_days} days were fitted"
        return f"Not enough evidence: {fitted}, and fewer than {MIN_DAYS} days are too few to learn from (see --split)."
    figures = f"{percent(overall.gain.mean)} of the stake a trade, {interval(overall.gain)}, {overall.n} trades on {overall.days} days"
    if overall.verdict is Verdict.LEARNED_BETTER:
        return f"Learned stops and targets earned more than the static ones on trades not used for learning: {figures}."
    if overall.verdict is Verdict.STATIC_BETTER:
        return f"The static stop and target earned more than the learned ones on trades not used for learning: {figures}."
    return f"Not enough evidence that learned stops and targets earn more or less than the static ones: {figures}; {_why(report)}."


def left_out_words(report: AuditReport) -> str | None:
    """Return a sentence with the number of closed trades left out of learning and up to four reasons; None if no trade is left out."""
    if not report.unused:
        return None
    left_out = sum(unused.count for unused in report.unused)
    named = "; ".join(f"{unused.count} {_shortened(unused.reason)}" for unused in report.unused[:_REASONS_SHOWN])
    more = f"; and {len(report.unused) - _REASONS_SHOWN} more reasons (below)" if len(report.unused) > _REASONS_SHOWN else ""
    return f"{left_out} of {report.counts.closed} closed trades are left out of learning: {named}{more}."


def _shortened(reason: str) -> str:
    """Return a reason, cut to 90 characters; the table of unused trades contains the whole text."""
    return reason if len(reason) <= _REASON_LENGTH else f"{reason[: _REASON_LENGTH - 1].rstrip()}…"


def interval(estimate: IntervalEstimate, digits: int = 2) -> str:
    """Return an interval as text, "95 %: -0.10 % to +0.31 %", or the reason why there is none."""
    if estimate.mean != estimate.mean:  # unknown
        return f"fitted on fewer than {MIN_DAYS} days"
    if estimate.lower == -float("inf"):
        return f"no interval from fewer than {MIN_DAYS} days"
    return f"95 %: {percent(estimate.lower, digits)} to {percent(estimate.upper, digits)}"


def warnings_of(report: AuditReport) -> Iterator[str]:
    """Yield warnings about the reliability of the figures; none if there is no reason for one."""
    fit, counts = report.candle_fit, report.counts
    if fit.is_in_another_zone:
        other = f" or {fit.shift_hours + 1:+d} h" if fit.has_summer_time else ""
        yield (
            f"{fit.outside_share:.0%} of the entries are outside their candle, and nearly all are inside with dates shifted by "
            f"{fit.shift_hours:+d} h{other}: the database probably uses local time, set its zone with --source-timezone"
        )
    elif fit.outside_share > _OUTSIDE_SHARE:
        yield (
            f"{fit.outside_share:.0%} of the entries are outside their candle: several entries a trade, another time zone, "
            "or candles of another exchange or market"
        )
    if report.costs.funding_missing_share > _FUNDING_SHARE:
        share = f"{report.costs.funding_missing_share:.0%}".replace("%", " %")
        yield f"funding is unknown for {share} of the trades used, over a part of their time at least, and counted as zero there"
    if counts.fitted_days < MIN_DAYS or counts.judged_days < MIN_DAYS:
        yield (
            f"{counts.fitted} trades on {counts.fitted_days} days are fitted and {counts.judged} on {counts.judged_days} days are judged: "
            f"each part needs {MIN_DAYS} days; --split and --judge-from move the split, and more trades help if there are too few days"
        )
    several = report.several_orders
    if several is not None:
        yield _SEVERAL_ASSUMED
        if several.trades > _SEVERAL_SHARE * counts.closed and counts.used:
            yield (
                f"{several.trades} of {counts.closed} closed trades have several entries or exits and nothing is learned from them: the "
                "others are those that needed no further order, so their figures are probably better than those of all trades"
            )
    if counts.open:
        yield f"{counts.open} open trades were left out: their outcome is not known yet"


def _why(report: AuditReport) -> str:
    overall = report.overall
    if overall is not None and overall.n < MIN_TRADES:
        return f"fewer than {MIN_TRADES} trades are too few for a conclusion"
    if overall is not None and overall.days < MIN_DAYS:
        return f"fewer than {MIN_DAYS} days are too few for a conclusion"
    return "the interval contains zero"
