"""The commands of the chat, and the function that answers each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot3.errors import Bot3Error
from bot3.logs import redacted
from bot3.trading.trades import RunMode
from bot3.usecases.terms import TERMS
from telegram_bot import control, learned, results
from telegram_bot.control import Control
from telegram_bot.home import BotHome
from telegram_bot.page import Page, rendered
from telegram_bot.received import Arguments, InvalidArgumentError, arguments_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its arguments and its summary as /help shows them, and the function that returns its answer."""

    usage: str
    summary: str
    answer: Callable[[BotHome, Arguments], Page]


COMMANDS: Mapping[str, Command] = {
    "stats": Command(usage="[mode]", summary="results of each bot's closed trades, and of all bots by exit reason", answer=results.stats),
    "learning": Command(usage="", summary="published learning, and the number of trades of each leverage bin", answer=learned.learning),
    "profit": Command(usage="[days] [mode]", summary="realised profit by bot and direction", answer=results.profit),
    "pairs": Command(usage="[mode]", summary="which pairs earn", answer=results.pairs),
    "leverage": Command(usage="[mode]", summary="results, stop and target by leverage bin", answer=learned.leverage),
    "daily": Command(usage="[days] [mode]", summary="profit of each UTC day", answer=results.daily),
    "balance": Command(usage="", summary="wallets and open positions", answer=results.balance),
}
_HELP = ("help", "start")
_TERMS = "terms"


class CommandHandler:
    """Returns the answers to commands; only with a `control` it also accepts pause, halt and resume."""

    def __init__(self, home: BotHome, *, control: Control | None = None) -> None:
        self._home, self._control = home, control

    def answer(self, name: str, arguments: Sequence[str], *, user: int) -> str:
        """Return the answer to a command as HTML; it never raises: an error is returned as the answer."""
        try:
            return redacted(rendered(self._page(name, arguments, user=user)))
        except InvalidArgumentError as error:
            return rendered(Page(title=f"/{name} {COMMANDS[name].usage}".strip(), blocks=(f"{error}.",)))
        except Bot3Error as error:
            log.warning("answer_refused", command=name, problem=str(error))
            return rendered(Page(title=f"/{name} is unavailable", blocks=(redacted(str(error)),)))
        except Exception:
            # The only catch-all: a failing command must not end the process that sends alerts.
            log.exception("answer_failed", command=name)
            return rendered(Page(title=f"/{name} failed", blocks=("This is a bug; the details are in the log of this process.",)))

    def _page(self, name: str, arguments: Sequence[str], *, user: int) -> Page:
        if name in _HELP:
            return help_page(is_controlling=self._control is not None)
        if name == _TERMS:
            return terms_page(arguments)
        if self._control is not None and name in {*control.COMMANDS, control.CONFIRM}:
            return self._control.answer(name, arguments, user=user)
        command = COMMANDS.get(name)
        if command is None:
            return Page(title="Unknown command", blocks=("/help lists the commands.",))
        return command.answer(self._home, arguments_of(arguments, default=RunMode.PAPER))


def help_page(*, is_controlling: bool) -> Page:
    """Return the page that lists the commands, with pause, halt and resume if `is_controlling`."""
    lines = "\n".join(f"/{name} {command.usage}".rstrip() + f": {command.summary}" for name, command in COMMANDS.items())
    lines += f"\n/{_TERMS} [NAME]: the definition of a term, such as probe"
    notes = (
        "mode is paper (the default), backtest or live; modes are never summed. A loss is negative, times are UTC, n is the number of "
        "closes behind a figure. /stats and /profit differ from freqtrade's: /stats is overall performance, exit reasons and durations."
    )
    if not is_controlling:
        return Page(title="BOT3", blocks=(lines, notes, "All commands only read."))
    commands = "\n".join(f"/{name} BOT|{control.EVERY_BOT}: {what}" for name, what in control.COMMANDS.items())
    return Page(title="BOT3", blocks=(lines, f"{commands}\nEach is executed only after /{control.CONFIRM} CODE.", notes))


def terms_page(words: Sequence[str]) -> Page:
    """Return the definition of the term that the words name, in any case; the names of all terms if they name none."""
    name = " ".join(words).casefold()
    if name in TERMS:
        return Page(title=name, blocks=(TERMS[name],))
    title = "Unknown term" if name else "Terms"
    return Page(title=title, blocks=(", ".join(TERMS), f"/{_TERMS} NAME shows the definition of one."))
