"""The commands: what each answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot3.errors import Bot3Error
from bot3.logs import redacted
from bot3.trading.trades import RunMode
from telegram_bot import control, learned, results
from telegram_bot.asked import Asked, NotUnderstoodError, asked_of
from telegram_bot.control import Control
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


class Desk:
    """Answers what listed users ask; with a `control` it also takes commands for the daemon."""

    def __init__(self, home: Home, *, control: Control | None = None) -> None:
        self._home, self._control = home, control

    def answer(self, name: str, arguments: Sequence[str], *, user: int) -> str:
        """Return the answer, as HTML; what goes wrong is the answer then, and is logged."""
        try:
            return redacted(rendered(self._page(name, arguments, user=user)))
        except NotUnderstoodError as error:
            return rendered(Page(title=f"/{name} {COMMANDS[name].usage}".strip(), blocks=(f"{error}.",)))
        except Bot3Error as error:
            log.warning("answer_refused", command=name, problem=str(error))
            return rendered(Page(title=f"/{name} cannot be told", blocks=(redacted(str(error)),)))
        except Exception:
            # The one catch-all: a question must not end the process that tells alerts.
            log.exception("answer_failed", command=name)
            return rendered(Page(title=f"/{name} failed", blocks=("That is a bug; the log of this process says more.",)))

    def _page(self, name: str, arguments: Sequence[str], *, user: int) -> Page:
        if name in _HELP:
            return help_page(is_controlling=self._control is not None)
        if self._control is not None and name in {*control.COMMANDS, control.CONFIRM}:
            return self._control.answer(name, arguments, user=user)
        command = COMMANDS.get(name)
        if command is None:
            return Page(title="Not a command", blocks=("/help lists what can be asked.",))
        return command.answer(self._home, asked_of(arguments, default=RunMode.PAPER))


def help_page(*, is_controlling: bool) -> Page:
    """Return what can be asked."""
    lines = "\n".join(f"/{name} {command.usage}".rstrip() + f": {command.summary}" for name, command in COMMANDS.items())
    notes = (
        "mode is paper (if none is given), backtest or live; never summed. A loss is negative, times are UTC, n is how many closes "
        "a figure rests on. /stats and /profit are not freqtrade's: /stats is overall performance, with exit reasons and durations in it."
    )
    if not is_controlling:
        return Page(title="BOT3", blocks=(lines, notes, "Everything here only reads."))
    commands = "\n".join(f"/{name} BOT|{control.EVERY_BOT}: {what}" for name, what in control.COMMANDS.items())
    return Page(title="BOT3", blocks=(lines, f"{commands}\nEach is done only after /{control.CONFIRM} CODE.", notes))
