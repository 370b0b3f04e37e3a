"""The one definition of each term that a page, a command or a message shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TERMS: Mapping[str, str] = MappingProxyType(
    {
        "90 % interval": "The interval that contains the true value with a probability of 90 %, given the data behind the estimate.",
        "ambiguous share": "The share of replayed trades whose stop and target were reached within one candle, where the stop counts.",
        "break-even win rate": "The share of wins at which the profit is zero after costs, if every trade ends at its stop or target.",
        "censored share": "The share of a group's closes that its evidence lacks; a pair and direction above the limit may not trade.",
        "cell": "One pair, one direction and one leverage bin: the smallest group for which a stop and a target are learned.",
        "confidence": "The probability that an expectancy is above 0; of a signal, that its trade earns more than its costs.",
        "dead letter": "A point that could not be written to the published copy, stored with its reason until it is sent again.",
        "detector": "The rule that computes the market's regime; its name and a digest of its settings are the version of each state.",
        "drawdown": "The loss of equity since its highest value so far, as a ratio of that value.",
        "effective n": "The number of independent trades with as much information as the existing ones, which depend on each other.",
        "epoch": "A text that identifies one uninterrupted history of a record; a restore starts a new epoch.",
        "expectancy": "The estimated mean net result of a trade after costs, as a ratio of the price.",
        "feeder": "A source of signals: a trained model with its own horizon and features, or a rule named in the enter tag.",
        "giveback": "The rule that exits a trade when a candle closes after the price has lost a set share of the trade's best move.",
        "half-life": "The age at which an observation counts half as much as a new one.",
        "head": "The last row written of a publication, which states how many rows it has; without it the publication is not read.",
        "heartbeat": "The time and state that a process writes at short intervals; without a recent one it counts as silent.",
        "hold": "A decision not to trade a signal, stored with its reason.",
        "horizon": "The longest time that a trade of a signal source is open, fixed at its entry (8h to 7d), and the span of its replay.",
        "known at": "The market time from which a value may be used: the latest time at which any of its inputs could be known.",
        "latch": "A stored stop of a bot's trading that remains after a restart, until a person resumes the bot or its time has passed.",
        "leverage bin": "One of the ranges of leverage (by default five, between 1 and 10) by which trades are grouped.",
        "log evidence": "The natural logarithm of what bets of 1 against a pair and direction earning nothing have become at the least.",
        "log loss": "The mean negative logarithm of the probability that a model gave to what happened; lower is better.",
        "market time": "The time of the candles, which runs at a set speed when they are simulated or replayed, and else is wall time.",
        "n": "The number of closed trades or shadow trades behind a figure.",
        "own share": "The share of an estimate that comes from a group's own trades; the rest comes from the group's parent or peers.",
        "parent": "The larger group whose values a group uses, the more so the fewer trades of its own it has.",
        "probe": "The permission to trade at the smallest order size only, because there is not enough evidence.",
        "profit factor": "The sum of gains over the sum of losses.",
        "raw mean": "The mean of a feeder's results before pooling, as a ratio of the price.",
        "recommendation": "The published tiers of feeders and leverage bins that may be traded, with a factor on the size and an expiry.",
        "record": "The platform's own store: synced trades, replays, shadow trades and everything learned.",
        "regime": "The state of the whole market: bull trending, bear trending, sideways or volatile.",
        "replay": "The computation of what a closed trade would have earned under other stops and targets, on the candles of its horizon.",
        "return on stake": "The sum of profit over the sum of stake, of one stake currency, leverage included.",
        "revision": "The number of the record's last write; every row stores the revision that changed it.",
        "reward to risk": "The profit at the target over the loss at the stop, after costs.",
        "shadow": "The state in which signals are evaluated without orders, because the evidence is against trading.",
        "shadow trade": "A trade of a feeder's signal that is computed on the candles and never sent as an order.",
        "sigma": "The expected standard deviation of the log price over a trade's horizon, known at its entry.",
        "static set": "The stop and target of the settings: the control bots always use them, BOT3 on paper until something is learned.",
        "stop": "The loss at which a trade is closed, as a ratio of the stake, leverage included, before costs.",
        "target": "The profit at which a trade is closed, as a ratio of the stake, leverage included, after fees.",
        "threshold": "By how much a feeder's forecast of a move must exceed the trade's costs to become a signal, by direction.",
        "tier": "The permitted use of a feeder's signals: trade, probe or shadow.",
        "trade": "As a state or tier, the permission to trade at full size; otherwise an entry with its exit.",
        "version": "The digest that identifies a publication.",
        "wall time": "The time of the machine's clock.",
        "win rate": "The share of trades with a profit above 0.",
    }
)
"""Term to its definition in one sentence."""

HEADINGS: Mapping[str, str] = MappingProxyType(
    {
        "ambiguous": "ambiguous share",
        "bin": "leverage bin",
        "break-even wins": "break-even win rate",
        "closes missing": "censored share",
        "expectancy (price)": "expectancy",
        "feeder or tag": "feeder",
        "heartbeat (wall)": "heartbeat",
        "market time it saw": "market time",
        "mean in window": "raw mean",
        "missing": "censored share",
        "n eff": "effective n",
        "n in window": "n",
        "n_eff": "effective n",
        "own": "own share",
        "p(> 0)": "confidence",
        "p(expectancy > 0)": "confidence",
        "profit factor of ratios": "profit factor",
        "replayed": "replay",
        "stop, target in sigma": "sigma",
        "win rate in window": "win rate",
    }
)
"""Other headings under which a term is shown, in lower case, to the term."""


def definition(heading: str) -> str | None:
    """Return the definition of the term in a heading or label, whatever its case; text after a comma is ignored.

    None if it is neither a term nor one of `HEADINGS`.
    """
    shown = heading.casefold()
    return next((TERMS[name] for name in (HEADINGS.get(shown, shown), shown.partition(",")[0]) if name in TERMS), None)


def definitions(*names: str) -> str:
    """Return "name: definition" of some terms, one paragraph each. Raises KeyError if a name is not in `TERMS`."""
    return "\n\n".join(f"{name}: {TERMS[name]}" for name in names)
