"""What an audit makes of a foreign bot's trades."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pandas as pd
import pytest

from bot3.cli.audit_page import audit_page
from bot3.cli.audit_tables import PARAMETER_COLUMNS, figure_rows, parameter_cells, shown_parameters
from bot3.cli.audit_words import left_out_words, verdict_words, warnings_of
from bot3.errors import CandleError, DataError
from bot3.learning.evaluation.comparison import Verdict
from bot3.learning.parameters.learner import LearningSettings
from bot3.learning.replay.groups import OUTSIDE_CANDLES, SEVERAL_ORDERS
from bot3.ports.candles import CandleReader
from bot3.ports.foreign_trades import FilledOrder, ForeignTradeReader, RefusedTrade
from bot3.trading.exit_rules import ExitRules
from bot3.trading.trades import OrderPattern, Trade
from bot3.usecases.audit.audit import AuditSettings, audit
from bot3.usecases.audit.report import AuditReport, SeveralOrders
from tests.usecases.foreign import (
    DAYS,
    PAIRS,
    START,
    FakeForeignTrades,
    MarketCandles,
    a_trade,
    bought_twice,
    dips_then_runs,
    market,
    random_walk,
    still_open,
    trades_on,
)


def say_nothing(stage: str, done: int, total: int) -> None:
    """Show no progress."""


def audited(trades: list[Trade], candles: MarketCandles, *, settings: AuditSettings | None = None, **more: Any) -> AuditReport:
    return audit(
        cast(ForeignTradeReader, FakeForeignTrades(trades, **more)),
        cast(CandleReader, candles),
        database="tradesv3.sqlite",
        settings=settings or AuditSettings(),
        tell=say_nothing,
    )


def reasons(report: AuditReport) -> dict[str, tuple[int, ...]]:
    return {unused.reason: unused.trade_ids for unused in report.unused}


def test_audit_given_a_market_that_dips_first_then_learned_stops_are_better() -> None:
    candles = market(dips_then_runs)

    report = audited(trades_on(candles), candles)

    assert report.overall is not None
    assert report.verdict is Verdict.LEARNED_BETTER
    # The static stop lies 0.6 % away at 5x and is always hit: it costs 3 % of the stake, fees and slippage five times over on top.
    assert report.overall.static_profit == pytest.approx(-0.03 - 5.0 * (2 * 0.0004 + 0.0004), abs=0.002)
    assert report.overall.learned_profit > 0.0
    assert [group.comparison.verdict for group in report.by_pair] == [Verdict.LEARNED_BETTER] * 2


def test_audit_given_a_market_that_knows_nothing_then_there_is_not_enough_evidence() -> None:
    candles = market(random_walk)

    report = audited(trades_on(candles), candles)

    assert report.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert {group.comparison.verdict for group in report.by_pair} == {Verdict.NOT_ENOUGH_EVIDENCE}


def test_audit_given_rows_of_every_level_then_each_has_the_comparison_of_its_group() -> None:
    candles = market(random_walk)

    report = audited(trades_on(candles), candles)

    judged = {row.key: report.judged(row) for row in report.parameters}
    groups = [*report.by_direction, *report.by_bin, *report.by_pair_direction, *report.by_group]
    assert report.by_bin
    assert len([found for found in judged.values() if found is not None]) == len(groups)
    for group in report.by_bin:
        assert judged[f"*|*|{group.key}"] is group.comparison


def test_audit_given_a_break_even_stop_then_both_settings_are_judged_with_it() -> None:
    candles = market(random_walk)
    trades = trades_on(candles)
    rules = ExitRules(break_even_activation_sigma=0.1)

    plain = audited(trades, candles)
    moved = audited(trades, candles, settings=AuditSettings(learning=LearningSettings(exit_rules=rules)))

    assert plain.overall is not None
    assert moved.overall is not None
    assert moved.overall.static_profit != plain.overall.static_profit
    assert moved.overall.learned_profit != plain.overall.learned_profit
    assert moved.overall.realised_profit == plain.overall.realised_profit
    assert (plain.break_even_activation_sigma, moved.break_even_activation_sigma) == (None, 0.1)
    assert ("stop moved to break-even", "from a move of 0.1 sigma, static and learned") in figure_rows(moved)
    assert len(figure_rows(moved)) == len(figure_rows(plain)) + 1


@pytest.mark.slow
def test_audit_given_many_markets_that_know_nothing_then_it_is_wrong_no_more_often_than_it_says() -> None:
    worlds = [MarketCandles({pair: random_walk(pair, seed=2 * world + place) for place, pair in enumerate(PAIRS)}) for world in range(60)]

    called = sum(audited(trades_on(candles, every=96), candles).verdict is not Verdict.NOT_ENOUGH_EVIDENCE for candles in worlds)

    # 5 % of 60 is 3; more than 8 would happen in one of 160 tries.
    assert called <= 8


def test_audit_given_another_future_then_what_was_learned_before_the_cut_is_the_same() -> None:
    candles = market(dips_then_runs)
    trades = trades_on(candles)
    before = audited(trades, candles)
    cut = pd.Timestamp(before.split_at)
    changed = {
        pair: frame.assign(**{name: frame[name].where(frame["open_time"] < cut, 100.0) for name in ("open", "high", "low", "close")})
        for pair, frame in candles.frames.items()
    }

    after = audited(trades, MarketCandles(changed))

    assert before.promise is not None
    assert after.promise is not None
    assert after.promise.gain_fitted_move == before.promise.gain_fitted_move
    assert after.promise.expected_move == before.promise.expected_move
    assert after.promise.kept != before.promise.kept


def test_audit_given_trades_then_each_is_counted_once() -> None:
    candles = market()
    trades = trades_on(candles)
    lost = replace(trades[0], trade_id=900, pair="CCC/USDT:USDT")
    forced = replace(trades[1], trade_id=901, open_date=trades[1].open_date + timedelta(hours=5), exit_reason="force_exit")
    twice = replace(trades[2], trade_id=902, open_date=trades[2].open_date + timedelta(seconds=9))
    high = replace(trades[3], trade_id=903, leverage=20.0)
    several = replace(trades[4], trade_id=904, order_pattern=OrderPattern.MULTIPLE)
    refused = RefusedTrade(trade_id=905, pair=PAIRS[0], reason="open_rate must be above 0", detail="0")
    refused_open = replace(refused, trade_id=907, is_open=True)

    report = audited(
        [*trades, lost, forced, twice, high, several, still_open(replace(trades[5], trade_id=906))],
        candles,
        refused=[refused, refused_open],
    )

    assert reasons(report) == {
        SEVERAL_ORDERS: (904,),
        "leverage outside the bins": (903,),
        "ended by force_exit": (901,),
        "another trade represents the same signal (pair, direction, candle)": (902,),
        "there are no candles of CCC/USDT:USDT": (900,),
        "impossible: open_rate must be above 0": (905,),
    }
    counts = report.counts
    assert (counts.closed, counts.open, counts.refused) == (len(trades) + 6, 2, 2)
    assert counts.used + sum(unused.count for unused in report.unused) == counts.closed
    assert counts.used == counts.fitted + counts.embargoed + counts.judged
    assert report.overall is not None
    assert counts.judged == report.overall.n == sum(outcome.n for outcome in report.days)
    assert report.realised.n == counts.closed - 1


def test_audit_given_an_order_that_filled_later_then_the_fill_is_the_entry() -> None:
    candles = market(dips_then_runs)
    trades = trades_on(candles)
    fill = FilledOrder(is_entry=True, rate=trades[-1].open_rate, amount=1.0, filled_at=trades[-1].open_date + timedelta(minutes=115))

    plain, shaped = audited(trades, candles), audited(trades, candles, orders={trades[-1].trade_id: (fill,)})

    assert plain.overall is not None
    assert shaped.overall is not None
    assert shaped.overall.n == plain.overall.n
    # At the bottom of the dip the market is already far beyond the stop: it is left at the open, not at the level.
    assert shaped.overall.static_move < plain.overall.static_move


def test_audit_given_fees_of_the_trades_then_charges_their_median() -> None:
    candles = market()
    trades = trades_on(candles)

    own, asked = audited(trades, candles), audited(trades, candles, settings=AuditSettings(fee=0.001))

    assert (own.costs.fee, own.costs.fee_is_from_trades) == (0.0004, True)
    assert (asked.costs.fee, asked.costs.fee_is_from_trades) == (0.001, False)
    assert asked.static_whole.mean < own.static_whole.mean


class OneBadFile(MarketCandles):
    """Candles of which one pair's cannot be read."""

    def span(self, pair: str, timeframe: str) -> tuple[Any, Any]:
        if pair == PAIRS[1]:
            raise CandleError("BBB_USDT_USDT-5m-futures.feather contains no candle: fetch it again or remove it")
        return super().span(pair, timeframe)


def test_audit_given_one_bad_candle_file_then_audits_the_others_and_lists_its_trades() -> None:
    whole = market(dips_then_runs)
    trades = trades_on(whole)

    report = audited(trades, OneBadFile(whole.frames))

    lost = tuple(trade.trade_id for trade in trades if trade.pair == PAIRS[1])
    assert reasons(report) == {"BBB_USDT_USDT-5m-futures.feather contains no candle: fetch it again or remove it": lost}
    assert report.counts.used == len(trades) - len(lost)
    assert report.verdict is Verdict.LEARNED_BETTER


def test_audit_given_only_bad_candle_files_then_names_them() -> None:
    whole = market()
    trades = [trade for trade in trades_on(whole) if trade.pair == PAIRS[1]]

    with pytest.raises(CandleError, match=r"1 of 1 pairs without candles; BBB_USDT_USDT-5m-futures\.feather contains no candle"):
        audited(trades, OneBadFile(whole.frames))


def test_audit_given_spot_then_says_nothing_of_funding() -> None:
    whole = market()
    candles = MarketCandles({pair.partition(":")[0]: frame for pair, frame in whole.frames.items()})

    report = audited(trades_on(candles), candles)

    assert report.costs.funding_missing_share == 0.0
    assert not any("funding" in warning for warning in warnings_of(report))


def test_audit_given_no_funding_then_says_of_how_many_trades() -> None:
    candles = market()

    assert audited(trades_on(candles), candles).costs.funding_missing_share == 1.0


def test_audit_given_dates_in_local_time_then_names_the_shift() -> None:
    candles = market(dips_then_runs)
    trades = [
        replace(trade, open_date=trade.open_date + timedelta(hours=2), close_date=trade.open_date + timedelta(hours=4))
        for trade in trades_on(candles)
    ]

    report = audited(trades, candles)

    assert report.candle_fit.outside_share > 0.5
    assert report.candle_fit.shift_hours == -2


@pytest.mark.parametrize("pattern", list(OrderPattern))
def test_audit_given_dates_in_local_time_then_uses_the_trades_whatever_is_known_of_their_orders(pattern: OrderPattern) -> None:
    candles = market(random_walk)
    shifts = {True: timedelta(hours=1), False: timedelta(hours=2)}
    trades = [
        replace(trade, open_date=trade.open_date + shift, close_date=trade.open_date + 2 * shift, order_pattern=pattern)
        for trade in trades_on(candles)
        for shift in [shifts[trade.open_date < START + timedelta(days=30)]]
    ]

    if pattern is OrderPattern.MULTIPLE:
        assert audited(trades, candles).candle_fit.is_in_another_zone is False
        return
    report = audited(trades, candles)

    assert (report.candle_fit.shift_hours, report.candle_fit.has_summer_time) == (-2, True)
    assert report.counts.used > 0


def averaged(trade: Trade, rate_of_second: float) -> Trade:
    return replace(trade, open_rate=(trade.open_rate + rate_of_second) / 2.0, order_pattern=OrderPattern.UNKNOWN)


def test_audit_given_averaged_rates_without_orders_then_they_are_left_out_and_no_zone_is_suggested() -> None:
    candles = market(random_walk)
    trades = [averaged(trade, 0.97 * trade.open_rate) for trade in trades_on(candles)]

    report = audited(trades, candles)

    assert reasons(report) == {OUTSIDE_CANDLES: tuple(sorted(trade.trade_id for trade in trades))}
    assert report.candle_fit.outside_share > 0.9
    assert report.candle_fit.is_in_another_zone is False
    assert (report.counts.used, report.overall, report.static_whole, report.parameters) == (0, None, None, ())
    assert report.realised.n == len(trades)


def test_audit_given_a_few_rates_outside_their_candles_then_all_are_used() -> None:
    candles = market(random_walk)
    trades = trades_on(candles)
    odd = [averaged(trade, 0.97 * trade.open_rate) for trade in trades[::4]]
    plain = [replace(trade, order_pattern=OrderPattern.UNKNOWN) for number, trade in enumerate(trades) if number % 4]

    assert audited([*odd, *plain], candles).counts.used == len(trades)


def all_bought_twice(trades: list[Trade], candles: MarketCandles) -> tuple[list[Trade], dict[int, tuple[FilledOrder, ...]]]:
    made = [bought_twice(trade, candles.frames[trade.pair]) for trade in trades]
    return [trade for trade, _ in made], {trade.trade_id: orders for trade, orders in made}


def test_audit_given_trades_of_several_orders_alone_then_replays_them_and_learns_nothing() -> None:
    candles = market(dips_then_runs)
    trades, orders = all_bought_twice(trades_on(candles), candles)

    report = audited(trades, candles, orders=orders)

    assert reasons(report) == {SEVERAL_ORDERS: tuple(sorted(orders))}
    assert (report.counts.closed, report.counts.used, report.overall, report.parameters) == (len(trades), 0, None, ())
    several = report.several_orders
    assert several is not None
    assert (several.n, several.trades, several.orders, several.unreplayed, several.judged) == (
        len(trades),
        len(trades),
        2 * len(trades),
        (),
        None,
    )
    assert several.realised_profit == pytest.approx(sum(trade.close_profit or 0.0 for trade in trades) / len(trades))
    # The stop of -3 % of the stake lies 0.6 % below 100 at 5x and is hit before the second entry an hour later: it never happens.
    assert several.static is not None
    assert several.static.mean == pytest.approx(-0.03 - 5.0 * (2 * 0.0004 + 0.0004), abs=0.002)
    assert (several.stopped_share, several.orders_done, several.outlived_share) == (1.0, len(trades), 0.0)


def test_audit_given_a_wide_stop_then_the_second_entry_counts_and_outlived_trades_are_reported() -> None:
    candles = market(dips_then_runs)
    trades, orders = all_bought_twice(trades_on(candles), candles)
    learning = replace(LearningSettings(), static_stop_loss=-0.5, static_take_profit=0.05)

    several = audited(trades, candles, orders=orders, settings=AuditSettings(learning=learning)).several_orders

    # The bot leaves at the bottom after two hours; the target of 1 % above the average is reached later.
    assert several is not None
    assert several.static is not None
    assert several.static.mean == pytest.approx(0.05, abs=0.005)
    assert (several.reached_share, several.outlived_share, several.orders_done) == (1.0, 1.0, several.orders)


@pytest.mark.parametrize(("rates", "expected"), [(0, 1.0), (1, 1.0), (3 * (DAYS + 1), 0.0)])
def test_audit_given_funding_of_a_part_of_the_time_then_says_of_how_many_trades_of_several_orders(rates: int, expected: float) -> None:
    times = pd.Series(pd.date_range(START, periods=rates, freq="8h")).astype("datetime64[us, UTC]")
    candles = MarketCandles(market().frames, pd.DataFrame({"time": times, "funding_rate": 0.0001}))
    trades, orders = all_bought_twice(trades_on(candles), candles)

    several = audited(trades, candles, orders=orders).several_orders

    assert several is not None
    assert several.funding_missing_share == expected


def test_audit_given_single_entries_too_then_what_they_taught_is_judged_on_later_trades_of_several_orders() -> None:
    candles = market(dips_then_runs)
    single = trades_on(candles)
    several, orders = all_bought_twice([replace(trade, trade_id=trade.trade_id + 1_000) for trade in single[::3]], candles)

    alone, both = audited(single, candles), audited([*single, *several], candles, orders=orders)

    assert both.several_orders is not None
    judged = both.several_orders.judged
    assert judged is not None
    assert alone.split_at is not None
    assert judged.n == sum(trade.open_date >= alone.split_at for trade in several)
    assert judged.learned_profit > 0.0 > judged.static_profit
    # Nothing is learned from them: the rest of the report is as without them.
    assert (both.overall, both.parameters, both.split_at) == (alone.overall, alone.parameters, alone.split_at)


def test_audit_given_a_fill_that_was_noted_in_the_next_candle_then_it_is_replayed_where_the_price_was() -> None:
    candles = market(random_walk)
    first = trades_on(candles)[0]
    frame = candles.frames[first.pair]
    at = int(frame["open_time"].searchsorted(pd.Timestamp(first.open_date), side="right")) - 1 + 12
    names = ["open", "high", "low", "close"]
    # From the next candle on the price is 5 % lower: the fill's rate lies in its own candle alone.
    changed = frame.assign(**{name: frame[name].where(frame.index <= at, 0.95 * frame[name]) for name in names})
    market_after = MarketCandles({**candles.frames, first.pair: changed})
    trade, (entry, second, last) = bought_twice(first, changed)
    late = replace(second, filled_at=(second.filled_at or START) + timedelta(minutes=5))
    learning = replace(LearningSettings(), static_stop_loss=-0.9, static_take_profit=0.5)

    def replayed(order: FilledOrder) -> SeveralOrders | None:
        orders = {trade.trade_id: (entry, order, last)}
        return audited([trade], market_after, orders=orders, settings=AuditSettings(learning=learning)).several_orders

    in_time, noted_late = replayed(second), replayed(late)

    assert in_time is not None
    assert in_time.n == 1
    assert noted_late == in_time


def test_audit_given_orders_that_cannot_be_replayed_then_each_is_named_with_its_reason() -> None:
    candles = market(random_walk)
    single = trades_on(candles)
    trades, orders = all_bought_twice([replace(trade, trade_id=trade.trade_id + 1_000) for trade in single[:6]], candles)
    without, unpriced, odd, unclosed, forced, good = (trade.trade_id for trade in trades)
    first, second, last = orders[good]
    del orders[without]
    orders[unpriced] = (*orders[unpriced][:2], replace(orders[unpriced][2], rate=None))
    orders[odd] = (orders[odd][0], replace(orders[odd][1], rate=150.0), orders[odd][2])
    orders[unclosed] = (*orders[unclosed][:2], replace(orders[unclosed][2], amount=1.0))
    trades = [replace(trade, exit_reason="force_exit") if trade.trade_id == forced else trade for trade in trades]

    several = audited([*single, *trades], candles, orders=orders).several_orders

    assert (first.is_entry, second.is_entry, last.is_entry) == (True, True, False)
    assert several is not None
    assert (several.n, several.trades) == (1, 6)
    assert {unused.reason: unused.trade_ids for unused in several.unreplayed} == {
        "several entries or exits, but the orders are not in the source": (without,),
        "an order lacks its rate, amount or time": (unpriced,),
        "the rate of an order is outside its candle: dates in another time zone, or candles of another market": (odd,),
        "its orders do not add up: the last order does not close the position": (unclosed,),
        "ended by force_exit": (forced,),
    }


def test_audit_given_few_trades_then_there_is_not_enough_evidence_whatever_they_earned() -> None:
    candles = market(dips_then_runs)

    report = audited(trades_on(candles)[:40], candles)

    assert report.overall is not None
    assert report.overall.n < 30
    assert report.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def one_day(*, days: int = 1) -> tuple[list[Trade], MarketCandles]:
    """Return ninety trades that were entered on a few days."""
    candles = market()
    trades = []
    for number in range(90):
        pair = PAIRS[number % 2]
        at = 288 * (20 + number % days) + 3 * number
        trades.append(replace(a_trade(number + 1, candles.frames[pair], at, pair=pair, leverage=5.0), is_short=number >= 45))
    return trades, candles


@pytest.mark.parametrize("days", [1, 7])
def test_audit_given_fewer_than_8_days_then_shows_no_interval_and_nothing_learned_from_them(days: int) -> None:
    trades, candles = one_day(days=days)

    report = audited(trades, candles)

    assert report.overall is not None
    assert not report.is_learned
    assert report.promise is None
    assert all(math.isnan(group.comparison.learned_profit) for group in (*report.by_pair, *report.by_direction, *report.by_bin))
    assert all(math.isinf(group.comparison.gain.upper) for group in report.by_group)
    shown = [parameter_cells(row, report) for row in shown_parameters(report)]
    assert {cells[PARAMETER_COLUMNS.index("interval")] for cells in shown} == {"no interval from fewer than 8 days"}
    assert all(float(cells[PARAMETER_COLUMNS.index("n_eff")]) <= 7 for cells in shown)
    assert any("--split and --judge-from move the split" in warning for warning in warnings_of(report))
    assert "fewer than 8 days are too few to learn from (see --split)" in verdict_words(report)


def test_page_given_one_day_then_its_chart_has_a_marker_for_it() -> None:
    trades, candles = one_day()

    page = audit_page(audited(trades, candles))

    assert '"mode":"lines+markers"' in page
    assert '"name":"learned"' not in page


def test_audit_given_no_closed_trade_then_counts_what_there_is() -> None:
    candles = market()
    opened = still_open(trades_on(candles)[0])

    with pytest.raises(DataError, match=r"\(0 closed, 1 open, 0 impossible\): let the bot close some"):
        audited([opened], candles)


def test_audit_given_only_trades_that_are_left_out_then_names_the_reasons_instead_of_asking_for_closes() -> None:
    candles = market()
    trades = [replace(trade, leverage=20.0) for trade in trades_on(candles)[:9]]

    with pytest.raises(DataError, match=r"\(9 closed, 0 open, 0 impossible\): all are left out of learning: 9 leverage outside the bins$"):
        audited(trades, candles)


def test_audit_given_high_leverage_then_realises_all_closes_and_says_at_the_top_what_is_left_out() -> None:
    candles = market()
    trades = trades_on(candles)
    high = [replace(trade, leverage=75.0, close_profit=-0.9) for trade in trades[::3]]
    rest = [trade for place, trade in enumerate(trades) if place % 3]

    report = audited([*rest, *high], candles)

    assert (report.counts.closed, report.realised.n) == (len(trades), len(trades))
    profits = [trade.close_profit or 0.0 for trade in (*rest, *high)]
    assert report.realised.avg_profit == pytest.approx(sum(profits) / len(profits))
    assert (
        left_out_words(report)
        == f"{len(high)} of {len(trades)} closed trades are left out of learning: {len(high)} leverage outside the bins."
    )


def test_audit_given_candles_of_other_pairs_then_names_those_it_needs() -> None:
    candles = market()
    trades = [replace(trade, pair="ZZZ/USDT:USDT") for trade in trades_on(candles)]

    with pytest.raises(CandleError, match=r"cover none of the \d+ trades; required: ZZZ/USDT:USDT from .*found: none of these pairs"):
        audited(trades, candles)


@pytest.mark.parametrize("exit_reason", ["exit_signal", "force_exit"])
def test_audit_given_candles_of_another_year_then_names_both_spans(exit_reason: str) -> None:
    candles = market()
    trades = [
        replace(trade, open_date=trade.open_date - timedelta(days=900), close_date=trade.open_date - timedelta(days=899))
        for trade in trades_on(candles)
    ]
    trades[0] = replace(trades[0], exit_reason=exit_reason)

    with pytest.raises(CandleError, match=r"cover none of .*2022-.*found: AAA/USDT:USDT 2025-01-01 to 2025-03-12"):
        audited(trades, candles)


def test_audit_given_candles_that_end_early_then_lists_the_rest() -> None:
    whole = market()
    trades = trades_on(whole)
    ends = pd.Timestamp(START + timedelta(days=DAYS // 2))
    candles = MarketCandles({pair: frame[frame["open_time"] < ends].reset_index(drop=True) for pair, frame in whole.frames.items()})

    report = audited(trades, candles)

    after = {trade.trade_id for trade in trades if trade.open_date >= ends}
    assert report.counts.used < len(trades)
    assert after <= {trade_id for unused in report.unused for trade_id in unused.trade_ids}


def test_audit_given_other_static_settings_then_judges_those() -> None:
    candles = market(dips_then_runs)
    learning = replace(LearningSettings(), static_stop_loss=-0.2, static_take_profit=0.05)

    report = audited(trades_on(candles), candles, settings=AuditSettings(learning=learning))

    assert report.overall is not None
    assert report.overall.static_profit == pytest.approx(0.05, abs=0.005)


def test_audit_given_a_first_day_to_judge_then_cuts_there() -> None:
    candles = market()
    first = START + timedelta(days=50)

    report = audited(trades_on(candles), candles, settings=AuditSettings(judge_from=first))

    assert report.split_at == first
    assert min(outcome.day for outcome in report.days) == first.date()


def test_audit_given_a_first_day_after_all_trades_then_judges_nothing_and_says_so() -> None:
    candles = market()

    report = audited(trades_on(candles), candles, settings=AuditSettings(judge_from=START + timedelta(days=500)))

    assert (report.overall, report.promise, report.by_pair, report.days) == (None, None, (), ())
    assert report.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_audit_given_a_first_day_before_all_trades_then_judges_the_static_settings_by_the_prior() -> None:
    candles = market()

    report = audited(trades_on(candles), candles, settings=AuditSettings(judge_from=START))

    assert (report.counts.fitted, report.promise) == (0, None)
    assert report.verdict is Verdict.NOT_ENOUGH_EVIDENCE
