"""Answers to /learning and /leverage: the published learning, and the trades, stop and target of each leverage bin."""

from __future__ import annotations

import pandas as pd

from bot3.learning.replay.groups import group_of_key, level_of
from bot3.trading import figures
from bot3.trading.leverage_bins import LeverageBins
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.recommendations import Recommendation
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.data_ages import newest_close_age
from bot3.usecases.fleet.trade_cache import Known, known
from telegram_bot.home import BotHome
from telegram_bot.page import Page, Table
from telegram_bot.received import Arguments


def learning(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with published parameters, recommendation and regime, their ages, and the number of trades of each leverage bin."""
    del arguments
    now, record = home.now(), home.ports.record
    parameters = known(lambda: record.parameters.as_of(now))
    blocks: list[str | Table] = [
        _parameters(parameters, home),
        _recommendation(known(lambda: record.recommendations.as_of(now)), home),
        _regime(home),
        _counts(home),
    ]
    if parameters.value is not None:
        blocks.append(_progress(parameters.value, home))
    modes = " and ".join(home.settings.learn_from)
    foot = f"Read now from the record {record.store_id[:8]}, revision {record.revision():,}; learned from {modes} trades together."
    return Page(title="Learning", blocks=tuple(blocks), foot=(foot, home.as_of()))


def _parameters(found: Known[ParameterSet], home: BotHome) -> str:
    if found.value is None:
        meanwhile = (
            ""
            if found.is_refused
            else " On paper, BOT3 enters the smallest orders with the static stop and target until the first publication."
        )
        return f"Parameters: {fmt.DASH} {found.problem}.{meanwhile}"
    wall, value = home.ports.clock.wall_now(), found.value
    life = fmt.expiry(value.expires_at, now=home.now(), anchor=home.anchor())
    return (
        f"Parameters {fmt.version(value.version)}: {life}, {len(value.rows)} rows, "
        f"computed {fmt.age(value.computed_at, now=wall)} (wall time), learned up to revision {value.revision:,}"
    )


def _recommendation(found: Known[Recommendation], home: BotHome) -> str:
    if found.value is None:
        return f"Recommendation: {fmt.DASH} {found.problem}."
    advice = found.value
    return (
        f"Recommendation {fmt.version(advice.version)}: {fmt.expiry(advice.expires_at, now=home.now(), anchor=home.anchor())}; "
        f"top {_feeders(advice.top_feeders)} (tier {advice.top_tier}), avoid {_feeders(advice.avoid_feeders)}, {fmt.leverage(advice)}, "
        f"size x {advice.suggested_position_size_multiplier:.2f}"
    )


def _feeders(numbers: tuple[int, ...]) -> str:
    return " ".join(f"F{number:02d}" for number in numbers) or "none"


def _regime(home: BotHome) -> str:
    now = home.now()
    found = known(lambda: home.ports.record.regimes.as_of(now))
    if found.value is None:
        return f"Regime: {fmt.DASH} {found.problem}."
    state = found.value
    name, sure = state.regime.value.replace("_", " "), fmt.share(max(state.probabilities))
    return f"Regime: {name}, probability {sure}, since {fmt.stamp(state.since)}"


def _counts(home: BotHome) -> str:
    counts = home.trades.counts()
    told = [f"{mode} {int(frame['trades'].sum()):,}" for mode, frame in counts.groupby("run_mode")]
    anchor, wall_now = home.anchor(), home.ports.clock.wall_now()
    age = None if anchor is None else newest_close_age(counts, own=home.ports.bot_names, anchor=anchor, wall_now=wall_now)
    newest = "no paper or live close yet" if age is None else f"newest paper or live close {fmt.ago(age)} (wall time)"
    return f"Closes in the record: {', '.join(told) or 'none'}; {newest}"


def _progress(parameters: ParameterSet, home: BotHome) -> Table:
    minimum = home.settings.min_trades_per_bin
    rows = [
        (row.leverage_bin, f"{row.trades_count:,}", f"{row.replays_count:,}", fmt.number(row.n_eff, 1), _standing(row, minimum))
        for row in bins_of(parameters, home.settings.bins)
    ]
    note = f"A bin with fewer than {minimum} closes is based mostly on related groups. /leverage shows stop and target."
    return Table(head=("bin", "n", "replayed", "n eff", "state"), rows=tuple(rows), note=note)


def _standing(row: ExitParameters, minimum: int) -> str:
    return f"{row.trades_count} of {minimum}" if row.trades_count < minimum else row.state.value


def bins_of(parameters: ParameterSet, bins: LeverageBins) -> list[ExitParameters]:
    """Return the parameter rows of the leverage bins over all pairs and both directions, lowest first; bins without a row are left out."""
    found = {row.leverage_bin: row for key, row in parameters.rows.items() if level_of(group_of_key(key)) == "bin"}
    return [found[name] for name in bins.names if name in found]


def leverage(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with the results of each leverage bin's closed trades of one run mode in the record, and its stop and target."""
    now = home.now()
    parameters = known(lambda: home.ports.record.parameters.as_of(now))
    foot = (home.of_record(arguments.mode), home.as_of())
    blocks: list[str | Table] = _realised(home, arguments)
    if parameters.value is None:
        blocks.append(f"Learned: {fmt.DASH} {parameters.problem}.")
    else:
        blocks += [_levels(parameters.value, home), _version(parameters.value, home)]
    return Page(title=f"Leverage bins: {arguments.mode.value} closes, and the learned levels", blocks=tuple(blocks), foot=foot)


def _realised(home: BotHome, arguments: Arguments) -> list[str | Table]:
    frame, _ = home.trades.frame()
    of_mode = frame[frame["run_mode"] == arguments.mode.value]
    bots = ", ".join(sorted(str(bot) for bot in of_mode["bot"].unique()))
    if not bots:
        return ["The record contains no close of this run mode yet."]
    return [
        Table(
            head=("bin", "n", "won", "ret", "PF", fmt.currency_name(currency)),
            rows=tuple(_bin_row(name, own[own["leverage_bin"] == name], currency) for name in _bins_with(own, home.settings.bins)),
            note=f"Realised by {bots}; ret: sum of profit / sum of stake; PF: sum of gains / sum of losses; both of money, after fees.",
        )
        for currency, own in figures.by_currency(of_mode).items()
    ]


def _bins_with(closes: pd.DataFrame, bins: LeverageBins) -> tuple[str, ...]:
    """Return the leverage bins, and the labels of leverage outside them of which there are trades, so that the rows cover all trades."""
    return (*bins.names, *(label for label in bins.outside if (closes["leverage_bin"] == label).any()))


def _bin_row(name: str, closes: pd.DataFrame, currency: str) -> tuple[str, ...]:
    found = figures.summary(closes)
    money = found.of(currency)
    if money is None:
        return name, fmt.count(found.n), *([fmt.DASH] * 4)
    return (
        name,
        fmt.count(found.n),
        fmt.share(found.win_rate.value),
        fmt.ratio(money.return_on_stake.value),
        fmt.number(money.profit_factor),
        fmt.signed(money.profit_abs, currency),
    )


def _levels(parameters: ParameterSet, home: BotHome) -> Table:
    rows = []
    for row in bins_of(parameters, home.settings.bins):
        level = figures.level_figures(
            stop_loss=row.stop_loss, take_profit_target=row.take_profit_target, leverage=row.leverage_ref, costs=home.ports.costs
        )
        ends = (fmt.ratio(row.stop_loss), "none" if row.has_target is False else fmt.ratio(row.take_profit_target))
        after = (fmt.DASH, fmt.DASH) if row.has_target is False else (fmt.number(level.reward_to_risk), fmt.share(level.break_even))
        rows.append((row.leverage_bin, *ends, *after, f"{row.trades_count:,}"))
    note = (
        "stop_loss: a distance of the price as ratio of the stake, before fees; take profit: profit of the stake after fees; both at the "
        "bin's mean leverage. R:R and break-even wins are after costs."
    )
    return Table(head=("bin", "stop", "target", "R:R", "even", "n"), rows=tuple(rows), note=note)


def _version(parameters: ParameterSet, home: BotHome) -> str:
    return f"Parameters {fmt.version(parameters.version)}: {fmt.expiry(parameters.expires_at, now=home.now(), anchor=home.anchor())}"
