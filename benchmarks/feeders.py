"""Measure the feeders walk-forward on candle files: net profit a call for each feeder and for all as a book, and their rules alone.

`python -m benchmarks.feeders --candles DIRECTORY [--first 2021-01-01] [--every-months 12]` reads 1h and 5m candles and funding in
freqtrade's layout. At every refit a feeder is trained on the trades that had ended by then, and its calls until the next refit are judged:
one open trade at most for each feeder and pair, entered at the next open, left at the horizon or at the label's wide stop, with fees and
slippage of both fills and the funding that was due. `--rules-only` measures the rules without models and without stop over the whole span.

Intervals are of the mean of a trade, 95 %, from a bootstrap of blocks of ten days. The designs were chosen on such candles before, so these
figures are development figures and no proof.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.output import print_result, tell
from bot3.adapters.files.candles import FileCandles
from bot3.errors import CandleError, LearningError
from bot3.learning.feeders.feature_panel import FeaturePanel, hourly_panel
from bot3.learning.feeders.labels import LabelCosts, Outcomes
from bot3.learning.feeders.models import read_model
from bot3.learning.feeders.rules import rule_rows
from bot3.learning.feeders.specs import FEEDERS, FeederSpec
from bot3.learning.feeders.training import TrainingSettings, train_feeder_model
from bot3.market.columns import CandleColumns, candle_columns
from bot3.market.feature_layouts import HOUR, SHORT_TIMEFRAME
from bot3.market.instants import DAY_US, instant_us
from bot3.usecases.feeders.panels import build_panel, read_funding

_BLOCK_DAYS, _DRAWS = 10, 1_000
_BPS = 1e4
COLUMNS = ("feeder", "entered_us", "is_short", "net_bps", "expected_bps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Mean of the net profit of some calls in bps of the price, its interval, and the number of calls; NaN without calls."""

    net_bps: float
    interval: tuple[float, float]
    calls: int

    def figures(self) -> dict[str, object]:
        """Return the figures with their key names; a number that does not exist is None."""
        if not self.calls:
            return {"net_bps": None, "interval": None, "calls": 0}
        return {"net_bps": round(self.net_bps, 1), "interval": [round(end, 1) for end in self.interval], "calls": self.calls}


def judge(calls: pd.DataFrame) -> Judged:
    """Judge calls (columns `COLUMNS`) by a bootstrap of blocks of days over the span of the calls."""
    if calls.empty:
        return Judged(net_bps=float("nan"), interval=(float("nan"), float("nan")), calls=0)
    day = calls["entered_us"].to_numpy() // DAY_US
    days = int(day.max() - day.min()) + 1
    sums = np.bincount(day - day.min(), weights=calls["net_bps"].to_numpy(), minlength=days)
    counts = np.bincount(day - day.min(), minlength=days).astype(np.float64)
    rng, blocks = np.random.default_rng(0), days // _BLOCK_DAYS + 1
    means = []
    for _ in range(_DRAWS):
        drawn = (rng.integers(0, days, blocks)[:, None] + np.arange(_BLOCK_DAYS)).ravel() % days
        means.append(sums[drawn].sum() / max(counts[drawn].sum(), 1.0))
    low, high = np.percentile(means, [2.5, 97.5])
    return Judged(net_bps=float(calls["net_bps"].mean()), interval=(float(low), float(high)), calls=len(calls))


def traded(
    spec: FeederSpec,
    outcomes: dict[bool, Outcomes],
    opens: NDArray[np.int64],
    called: Sequence[tuple[int, bool, float]],
) -> list[tuple[str, int, bool, float, float]]:
    """Return the trades of one pair: of the calls (row, is_short, expected net move) in order, those made while no trade is open."""
    rows, free_at = [], -1
    for row, is_short, expected in called:
        net = outcomes[is_short].net_move[row]
        if row >= free_at and not np.isnan(net):
            free_at = int(outcomes[is_short].end[row])
            rows.append((spec.feeder_id, int(opens[row]), is_short, float(net) * _BPS, expected * _BPS))
    return rows


def rule_calls(spec: FeederSpec, panel: FeaturePanel, costs: LabelCosts) -> pd.DataFrame:
    """Return the trades of a rule without a model and without a stop: they are left at the horizon."""
    rows, barriers = [], replace(spec.barriers, stop_sigma=math.inf)
    for pair in panel.pairs:
        outcomes = {is_short: panel.outcomes(pair, barriers, is_short=is_short, costs=costs) for is_short in (False, True)}
        sides = [rule_rows(spec.rule, pair.features, spec.layout, is_short=is_short) for is_short in (False, True)]
        called = [(int(row), bool(sides[1][row]), float("nan")) for row in np.flatnonzero(sides[0] | sides[1])]
        rows += traded(spec, outcomes, pair.columns.open_us, called)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def walk_forward(
    spec: FeederSpec, panel: FeaturePanel, refits: Sequence[datetime], settings: TrainingSettings
) -> tuple[pd.DataFrame, list[str]]:
    """Return a feeder's trades between the first and the last refit, and what its models' forecasts rested on."""
    rows: list[tuple[str, int, bool, float, float]] = []
    information = []
    start = datetime(2000, 1, 1, tzinfo=UTC)
    for since, until in pairwise(refits):
        try:
            model = read_model(train_feeder_model(spec, panel, start=start, until=since, settings=settings).text)
        except LearningError as error:
            information.append(str(error))
            continue
        information.append(model.header.information.value)
        for pair in panel.pairs:
            outcomes = {short: panel.outcomes(pair, spec.barriers, is_short=short, costs=settings.costs) for short in (False, True)}
            low, high = np.searchsorted(pair.columns.open_us, [instant_us(since), instant_us(until)])
            calls = model.calls(pair.features[low:high])
            called = [(int(low + row), bool(calls.is_short[row]), float(calls.net_move[row])) for row in np.flatnonzero(calls.is_called)]
            rows += traded(spec, outcomes, pair.columns.open_us, called)
    return pd.DataFrame(rows, columns=list(COLUMNS)), information


def panels_of(candles: FileCandles, *, timeframe: str) -> dict[str, FeaturePanel]:
    """Build the panels that a directory has candles for: hourly features, and 5m ones if its candles are of 5m."""
    pairs = candles.pairs()
    spans = [candles.span(pair, timeframe) for pair in pairs]
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    if timeframe == SHORT_TIMEFRAME:
        return {each: build_panel(candles, pairs=pairs, start=start, end=end, timeframe=each) for each in (HOUR, SHORT_TIMEFRAME)}
    columns: dict[str, CandleColumns] = {pair: candle_columns(candles.candles(pair, HOUR, start=start, end=end)) for pair in pairs}
    return {HOUR: hourly_panel(columns, {pair: read_funding(candles, pair, start=start, end=end) for pair in pairs})}


def refit_times(first: datetime, last: datetime, *, every_months: int) -> list[datetime]:
    """Return the times of the refits from `first` on, and `last`, at which the judgement ends."""
    times = []
    at = first
    while at < last:
        times.append(at)
        months = at.month - 1 + every_months
        at = at.replace(year=at.year + months // 12, month=months % 12 + 1)
    return [*times, last]


def measure(
    panels: dict[str, FeaturePanel], *, refits: Sequence[datetime], settings: TrainingSettings, rules_only: bool
) -> Iterator[tuple[FeederSpec, pd.DataFrame, list[str]]]:
    """Yield each feeder with its trades; a feeder whose timeframe has no panel has none."""
    for spec in FEEDERS.values():
        panel = panels.get(spec.timeframe)
        if panel is None or (rules_only and spec.rule.is_none):
            yield spec, pd.DataFrame(columns=list(COLUMNS)), []
        elif rules_only:
            yield spec, rule_calls(spec, panel, settings.costs), []
        else:
            yield spec, *walk_forward(spec, panel, refits, settings)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candles", type=Path, required=True)
    parser.add_argument("--timeframe", choices=(HOUR, SHORT_TIMEFRAME), default=HOUR)
    parser.add_argument(
        "--first", type=lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC), default=datetime(2021, 1, 1, tzinfo=UTC)
    )
    parser.add_argument("--every-months", type=int, default=12)
    parser.add_argument("--rules-only", action="store_true")
    arguments = parser.parse_args()
    try:
        candles = FileCandles(arguments.candles, wall_now=lambda: datetime.now(UTC), timeframe=arguments.timeframe)
        panels = panels_of(candles, timeframe=arguments.timeframe)
    except CandleError as error:
        tell(f"skipped: {error}")
        raise SystemExit(0) from None
    last = max(candles.span(pair, arguments.timeframe)[1] for pair in candles.pairs())
    refits = refit_times(arguments.first, last, every_months=arguments.every_months)
    figures, every = {}, []
    for spec, calls, information in measure(panels, refits=refits, settings=TrainingSettings(), rules_only=arguments.rules_only):
        judged = judge(calls)
        below = int((calls["expected_bps"] < 0.0).sum())
        figures[spec.feeder_id] = {**judged.figures(), "information": information, "calls_expected_below_0": below}
        every += [calls] if len(calls) else []
        tell(f"{spec.feeder_id} {spec.title:48s} {judged.figures()}")
    book = judge(pd.concat(every, ignore_index=True) if every else pd.DataFrame(columns=list(COLUMNS)))
    tell(f"all as a book: {book.figures()}")
    print_result({"feeders": figures, **book.figures(), "rules_only": arguments.rules_only})


if __name__ == "__main__":
    main()
