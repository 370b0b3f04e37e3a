"""The commands: what each answers; all of them only read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot3.errors import Bot3Error
from bot3.logs import redacted
from bot3.trading.trades import RunMode
from telegram_bot import learned, results
from telegram_bot.asked import Asked, NotUnderstoodError, asked_of
from telegram_bot.home import Home
from telegram_bot.page import Page, rendered

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: what /help says of it, and its answer."""

    usage: str
    summary: str
    answer: Callable[[Home, Asked], Page]


COMMANDS: Mapping[str, Command] = {
    "stats": Command(usage="[mode]", summary="overall performance of each bot, and by exit reason", answer=results.stats),
    "learning": Command(usage="", summary="what is in force, and how far each leverage bin is", answer=learned.learning),
    "profit": Command(usage="[days] [mode]", summary="realised profit by bot and direction", answer=results.profit),
    "pairs": Command(usage="[mode]", summary="which pairs earn", answer=results.pairs),
    "leverage": Command(usage="[mode]", summary="results, stop and target by leverage bin", answer=learned.leverage),
    "daily": Command(usage="[days] [mode]", summary="profit of each UTC day", answer=results.daily),
    "balance": Command(usage="", summary="wallets and open positions", answer=results.balance),
}
_HELP = ("help", "start")


def answer(name: str, arguments: Sequence[str], home: Home) -> str:
    """Return the answer to a command, as HTML; what goes wrong is the answer then, and is logged."""
    if name in _HELP:
        return rendered(help_page())
    command = COMMANDS.get(name)
    if command is None:
        return rendered(Page(title="Not a command", blocks=("/help lists what can be asked.",)))
    try:
        return rendered(command.answer(home, asked_of(arguments, default=RunMode.PAPER)))
    except NotUnderstoodError as error:
        return rendered(Page(title=f"/{name} {command.usage}".strip(), blocks=(f"{error}.",)))
    except Bot3Error as error:
        log.warning("answer_refused", command=name, problem=str(error))
        return rendered(Page(title=f"/{name} cannot be told", blocks=(redacted(str(error)),)))
    except Exception:
        # The one catch-all: a question must not end the process that tells alerts.
        log.exception("answer_failed", command=name)
        return rendered(Page(title=f"/{name} failed", blocks=("That is a bug; the log of this process says more.",)))


def help_page() -> Page:
    """Return what can be asked."""
    lines = "\n".join(f"/{name} {command.usage}".rstrip() + f": {command.summary}" for name, command in COMMANDS.items())
    notes = (
        "mode is paper (if none is given), backtest or live; never summed. A loss is negative, times are UTC, n is how many closes "
        "a figure rests on. /stats and /profit are not freqtrade's: /stats is overall performance, with exit reasons and durations in it. "
        "Everything here only reads."
    )
    return Page(title="BOT3", blocks=(lines, notes))
