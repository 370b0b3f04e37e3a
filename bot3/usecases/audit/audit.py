"""Audit the trades of another program's bot with the platform's learning; this needs no other process and writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from bot3.errors import CandleError
from bot3.learning.evaluation.comparison import TimeSplit, split_at, split_by_time
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.parameters.rows import realised_stats
from bot3.learning.replay.groups import SEVERAL_ORDERS
from bot3.market.instants import instant_of, instant_us, microseconds
from bot3.ports.candles import CandleReader
from bot3.ports.foreign_trades import ForeignTrades, ForeignTradeSource
from bot3.trading.figures import summary
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet
from bot3.trading.trades import OrderPattern
from bot3.usecases.audit.judgement import Judgement, horizon_days_of, judge
from bot3.usecases.audit.orders import Fit, replay_several_orders
from bot3.usecases.audit.replay import AuditCandles, candle_fit, read_candles
from bot3.usecases.audit.report import AuditCosts, AuditReport, CandleFit, GroupComparison, SeveralOrders, TradeCounts
from bot3.usecases.audit.trades import UsableTrades, first_entries, usable_trades
from bot3.usecases.fleet.trade_cache import close_frame
from bot3.usecases.learning.left_out import unused_by_reason
from bot3.usecases.learning.replay_trades import load_candles

_LIFE = timedelta(days=7)
_NO_MORE_CANDLES = timedelta(days=3)
"""Time added after the last candle or close and the horizon: by then, a replay whose candles are missing is final."""
_WARM_UP = timedelta(days=20)
"""Time before the first entry whose candles are used to estimate the volatility at entry."""

Span = tuple[datetime, datetime]
"""First open time and last close time of a pair's candles."""
Tell = Callable[[str, int, int], None]
"""Progress callback: receives a stage, how much of it is done, and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Settings of an audit.

    Parameters
    ----------
    learning : LearningSettings
        Settings of learning, with the static stop and target, the grid, the horizon and the costs.
    split : float
        Share of the trades, ordered by entry, before the split; above 0 and below 1.
    judge_from : datetime or None
        The time of the split; None: `split` determines it.
    fee : float or None
        Fee of entry and exit each, a ratio of the order's value; None: the median of the trades' own fees, at least 0.
    """

    learning: LearningSettings = field(default_factory=LearningSettings)
    split: float = 0.6
    judge_from: datetime | None = None
    fee: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """Input of an audit.

    `spans` are those of the pairs with candles, `missing` maps the other pairs to the reason; `ends_at` is the market time at which all
    replays are evaluated.
    """

    found: ForeignTrades
    usable: UsableTrades
    candles: AuditCandles
    fit: CandleFit
    spans: Mapping[str, Span]
    missing: Mapping[str, str]
    settings: LearningSettings
    ends_at: datetime


def audit(reader: ForeignTradeSource, candles: CandleReader, *, database: str, settings: AuditSettings, tell: Tell) -> AuditReport:
    """Read a bot's closed trades, learn stop and target from those before the split, and judge the result on those after it.

    Trades entered before the split whose outcome was known only after it are neither learned from nor judged. Trades with several entries
    or exits are replayed separately; nothing is learned from them.

    Parameters
    ----------
    database : str
        Name of the database in the report and in messages.
    tell : Tell
        Progress callback.

    Raises
    ------
    DataError
        If there is no closed trade that can be replayed.
    CandleError
        If the candles cover none of the trades.
    """
    material = _read(reader, candles, database=database, settings=settings, tell=tell)
    learned = _learned(material, candles, settings=settings, tell=tell) if len(material.usable.frame) else _NOTHING_LEARNED
    is_covered = _are_covered(material.usable.frame, material.spans)
    if learned.judgement is None and not len(material.usable.several) and not is_covered:
        raise _not_covered(material.usable.frame, spans=material.spans, missing=material.missing, settings=material.settings)
    several = replay_several_orders(
        material.usable.several,
        material.found,
        material.candles,
        missing=material.missing,
        settings=material.settings,
        fit=learned.fit,
        horizon_days=horizon_days_of(material.settings),
    )
    return _report(
        learned,
        several,
        material,
        database=database,
        costs=_costs(settings, material.settings, funding_missing_share=learned.funding_missing_share),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """Values learned from trades with one entry and one exit, and their results on the trades after the split.

    `judgement` is None if no trade's whole horizon was replayed. `parameters` are learned from all trades, `fit` from those before the
    split; `fit` is None if these were entered on fewer than `MIN_DAYS` days.
    """

    judgement: Judgement | None = None
    split_at: datetime | None = None
    fit: Fit | None = None
    parameters: tuple[ExitParameters, ...] = ()
    unused: tuple[tuple[int, str], ...] = ()
    funding_missing_share: float = 0.0


_NOTHING_LEARNED = _Learned()


def _learned(material: _Material, candles: CandleReader, *, settings: AuditSettings, tell: Tell) -> _Learned:
    trades, held = material.usable.frame, material.candles
    split = _split(trades, held, settings=settings)
    at = instant_of(split.at_us)
    learner = ParameterLearner(material.settings)
    parts = ((trades[split.fitted], at, "learning from the first part"), (trades[~split.fitted], material.ends_at, "learning from all"))
    fitted, whole = (
        _learn(learner, candles, part, pairs=tuple(held.by_pair), now=now, tell=tell, stage=stage) for part, now, stage in parts
    )
    states = learner.unsaved_replays()[0]
    used = _used(trades, states)
    unused = tuple(_unused(states, material.missing))
    if not len(used):
        return _Learned(unused=unused)
    tell("judging on the rest", 0, 1)
    judgement = judge(
        used, held, settings=material.settings, parameters=fitted, split=_split_of(used, at_us=split.at_us, fitted=trades[split.fitted])
    )
    tell("judging on the rest", 1, 1)
    return _Learned(
        judgement=judgement,
        split_at=at,
        fit=Fit(parameters=fitted, at_us=split.at_us) if judgement.fitted_days >= MIN_DAYS else None,
        parameters=tuple(whole.rows.values()),
        unused=unused,
        funding_missing_share=learner.funding_missing_share(),
    )


def _read(reader: ForeignTradeSource, candles: CandleReader, *, database: str, settings: AuditSettings, tell: Tell) -> _Material:
    tell("reading trades", 0, 1)
    found = reader.read_all()
    usable = usable_trades(found, database=database, bins=settings.learning.bins)
    tell("reading trades", 1, 1)
    learning = _with_fee(settings, usable.all)
    pairs = sorted(set(usable.all["pair"]))
    spans, missing = _spans(candles, pairs, timeframe=learning.timeframe)
    ends_at = _end(usable.all, spans, learning)
    arrays = {}
    for done, pair in enumerate(spans):
        tell("reading candles", done, len(spans))
        try:
            arrays[pair] = read_candles(candles, pair, settings=learning, until=ends_at)
        except CandleError as error:
            missing[pair] = str(error)
    tell("reading candles", len(spans), len(spans))
    if not arrays:
        raise _not_covered(usable.all, spans=spans, missing=missing, settings=learning)
    held = AuditCandles.of(arrays, settings=learning)
    fit = candle_fit(held, first_entries(usable, found))
    if fit.is_in_another_zone:
        # With dates of another time zone, candles cannot show how many orders made a trade: assume one entry; the report names the zone.
        usable = replace(usable, frame=_as_single(usable.frame))
    return _Material(found=found, usable=usable, candles=held, fit=fit, spans=spans, missing=missing, settings=learning, ends_at=ends_at)


def _as_single(trades: pd.DataFrame) -> pd.DataFrame:
    is_unknown = trades["order_pattern"] == OrderPattern.UNKNOWN
    return trades.assign(order_pattern=trades["order_pattern"].mask(is_unknown, OrderPattern.SINGLE))


def _with_fee(settings: AuditSettings, trades: pd.DataFrame) -> LearningSettings:
    fee = settings.fee
    if fee is None:
        # A rebate is not a reliable cost: a fee below 0 is set to 0.
        fee = max(float(((trades["fee_open"] + trades["fee_close"]) / 2.0).median()), 0.0)
    return replace(settings.learning, costs=replace(settings.learning.costs, taker_fee=fee))


def _spans(candles: CandleReader, pairs: Sequence[str], *, timeframe: str) -> tuple[dict[str, Span], dict[str, str]]:
    """Return the span of each pair's candles, and for pairs without usable candles the reason; the audit continues without them."""
    spans: dict[str, Span] = {}
    missing: dict[str, str] = {}
    for pair in pairs:
        try:
            spans[pair] = candles.span(pair, timeframe)
        except CandleError as error:
            missing[pair] = str(error)
    return spans, missing


def _end(trades: pd.DataFrame, spans: Mapping[str, Span], settings: LearningSettings) -> datetime:
    last: datetime = max([trades["close_date"].max().to_pydatetime(), *(end for _, end in spans.values())])
    return last + settings.horizon + _NO_MORE_CANDLES


def _split(trades: pd.DataFrame, candles: AuditCandles, *, settings: AuditSettings) -> TimeSplit:
    opened = microseconds(trades["open_date"])
    known = np.maximum(opened + candles.due_after_us, microseconds(trades["close_date"]))
    if settings.judge_from is None:
        return split_by_time(opened, known, share=settings.split)
    return split_at(opened, known, at_us=instant_us(settings.judge_from))


def _learn(
    learner: ParameterLearner,
    candles: CandleReader,
    trades: pd.DataFrame,
    *,
    pairs: tuple[str, ...],
    now: datetime,
    tell: Tell,
    stage: str,
) -> ParameterSet:
    """Load trades, and the candles closed by a time, into the learner; return the parameters learned from all of its trades."""
    learner.ingest_known(trades, now=now)
    for done, pair in enumerate(pairs):
        tell(stage, done, len(pairs) + 1)
        load_candles(learner, candles, pair, now=now)
    learner.replay_due(now=now)
    learned = learner.learn_all(now=now, computed_at=now, life=_LIFE, revision=0)
    tell(stage, len(pairs) + 1, len(pairs) + 1)
    return learned


def _used(trades: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """Return the trades whose whole horizon was replayed, with the volatility at entry as column `sigma`, sorted by entry."""
    complete = states.loc[states["state"] == "complete", ["trade_id", "sigma"]]
    return trades.merge(complete, on="trade_id", how="inner").sort_values(["open_date", "trade_id"], ignore_index=True)


def _split_of(used: pd.DataFrame, *, at_us: int, fitted: pd.DataFrame) -> TimeSplit:
    """Return which of the used trades are fitted (learned from before the split) and which are judged (entered after it)."""
    is_fitted = used["trade_id"].isin(fitted["trade_id"]).to_numpy(dtype=np.bool_)
    return TimeSplit(at_us=at_us, fitted=is_fitted, judged=microseconds(used["open_date"]) >= at_us)


def _unused(states: pd.DataFrame, missing: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    rest = states[states["state"] != "complete"]
    columns = (rest[name].tolist() for name in ("trade_id", "pair", "state", "reason"))
    for trade_id, pair, state, reason in zip(*columns, strict=True):
        yield trade_id, _reason(pair, state, reason, missing)


def _reason(pair: str, state: str, reason: str, missing: Mapping[str, str]) -> str:
    if pair in missing:
        return missing[pair]
    if reason.startswith("same signal"):
        return "another trade represents the same signal (pair, direction, candle)"
    return reason or f"its replay is {state}"


def _are_covered(trades: pd.DataFrame, spans: Mapping[str, Span]) -> bool:
    """Return whether any trade was entered within the candles of its pair."""
    entries = zip(trades["pair"], trades["open_date"], strict=True)
    return any(spans[pair][0] <= opened < spans[pair][1] for pair, opened in entries if pair in spans)


def _not_covered(trades: pd.DataFrame, *, spans: Mapping[str, Span], missing: Mapping[str, str], settings: LearningSettings) -> CandleError:
    pairs = sorted(set(trades["pair"]))
    first, last = trades["open_date"].min() - _WARM_UP, trades["close_date"].max() + settings.horizon
    seen = "; ".join(f"{pair} {start:%Y-%m-%d} to {end:%Y-%m-%d}" for pair, (start, end) in list(spans.items())[:5])
    why = "".join(f"; {reason}" for reason in list(missing.values())[:3])
    return CandleError(
        f"the {settings.timeframe} candles cover none of the {len(trades)} trades; required: {', '.join(pairs[:8])} from {first:%Y-%m-%d} "
        f"to {last:%Y-%m-%d}; found: {seen or 'none of these pairs'} ({len(missing)} of {len(pairs)} pairs without "
        f"candles{why}). Fetch them with `bot3 candles fetch` or `freqtrade download-data --timeframes {settings.timeframe}`"
    )


def _costs(settings: AuditSettings, learning: LearningSettings, *, funding_missing_share: float) -> AuditCosts:
    return AuditCosts(
        fee=learning.costs.taker_fee,
        fee_is_from_trades=settings.fee is None,
        slippage=learning.costs.slippage,
        stop_slippage=learning.costs.stop_slippage,
        funding_missing_share=funding_missing_share,
    )


def _counts(judgement: Judgement | None, found: ForeignTrades) -> TradeCounts:
    split, refused = None if judgement is None else judgement.split, found.refused
    refused_open = sum(row.is_open for row in refused)
    return TradeCounts(
        closed=len(found.closed) + len(refused) - refused_open,
        open=len(found.open) + refused_open,
        refused=len(refused),
        used=0 if judgement is None else len(judgement.trades),
        fitted=0 if split is None else int(split.fitted.sum()),
        embargoed=0 if split is None else int(split.embargoed.sum()),
        judged=0 if split is None else int(split.judged.sum()),
        fitted_days=0 if judgement is None else judgement.fitted_days,
        judged_days=0 if judgement is None else judgement.judged_days,
    )


def _days_of(used: pd.DataFrame, row: ExitParameters) -> int:
    """Return the number of UTC days on which the used trades of a row's group were entered."""
    own = used
    for name, value in (("pair", row.pair), ("direction", row.direction), ("leverage_bin", row.leverage_bin)):
        own = own if value == ANY else own[own[name] == value]
    return int(own["open_date"].dt.floor("D").nunique())


def _report(learned: _Learned, several: SeveralOrders | None, material: _Material, *, database: str, costs: AuditCosts) -> AuditReport:
    closed, settings, judgement = material.found.closed, material.settings, learned.judgement
    not_learned = [(int(trade_id), SEVERAL_ORDERS) for trade_id in material.usable.several["trade_id"]]
    activation = settings.exit_rules.break_even_activation_sigma
    return AuditReport(
        database=database,
        run_mode=closed[0].run_mode,
        timeframe=settings.timeframe,
        horizon_hours=settings.horizon / timedelta(hours=1),
        first_open=min(trade.open_date for trade in closed),
        last_close=max(trade.close_date for trade in closed if trade.close_date is not None),
        counts=_counts(judgement, material.found),
        unused=unused_by_reason([*material.usable.unused, *not_learned, *learned.unused]),
        refused=material.found.refused,
        costs=costs,
        candle_fit=material.fit,
        realised=realised_stats(np.array([trade.close_profit for trade in closed], dtype=np.float64)),
        money=summary(close_frame(list(closed))).money,
        static_stop_loss=settings.static_stop_loss,
        static_take_profit=settings.static_take_profit,
        static_whole=None if judgement is None else judgement.static_whole(),
        split_at=learned.split_at,
        overall=None if judgement is None else judgement.overall(),
        promise=None if judgement is None else judgement.promise(),
        by_pair=_groups(judgement, "pair"),
        by_direction=_groups(judgement, "direction"),
        by_bin=_groups(judgement, "leverage_bin"),
        by_pair_direction=_groups(judgement, "pair", "direction"),
        by_group=_groups(judgement, "pair", "direction", "leverage_bin"),
        days=() if judgement is None else judgement.days(),
        parameters=learned.parameters,
        parameter_days={} if judgement is None else {row.key: _days_of(judgement.trades, row) for row in learned.parameters},
        several_orders=several,
        break_even_activation_sigma=None if math.isinf(activation) else activation,
    )


def _groups(judgement: Judgement | None, *columns: str) -> tuple[GroupComparison, ...]:
    return () if judgement is None else judgement.groups(*columns)
