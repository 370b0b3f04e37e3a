"""Pause, halt and resume bots from the chat: the sender must confirm each command with a code. BOT3_TELEGRAM_CONTROL enables this."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.usecases.fleet.bot_state import daemon_beat, is_silent, state_in_force
from telegram_bot.page import Page

LIFE = timedelta(seconds=30)
"""Wall time for which a confirmation code is valid, once, for the user who sent the command."""
EVERY_BOT = "all"
CONFIRM = "confirm"
COMMANDS: Mapping[str, str] = {
    "pause": "no entries; exits and stops continue",
    "halt": "no entries, no exits by its rules; stops and targets on the exchange remain",
    "resume": "entries are allowed again",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _PendingCommand:
    command: str
    bots: tuple[str, ...]
    code: str
    until: datetime


def _new_code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


class Control:
    """Queues confirmed commands for the daemon in the control store; a restart of this process discards unconfirmed ones."""

    def __init__(self, control: ControlStore, *, clock: Clock, bots: Sequence[str], new_code: Callable[[], str] = _new_code) -> None:
        self._control, self._clock, self._bots, self._new_code = control, clock, tuple(bots), new_code
        self._wishes: dict[int, _PendingCommand] = {}

    def answer(self, name: str, arguments: Sequence[str], *, user: int) -> Page:
        """Return the answer to pause, halt, resume (a request to confirm) or confirm (which queues the user's pending command).

        Raises StoreError if the control store is unavailable.
        """
        if name == CONFIRM:
            return self._confirm(" ".join(arguments), user=user)
        bots = self._meant(arguments)
        if not bots:
            return Page(title=f"/{name} BOT", blocks=(f"BOT is one of {', '.join(self._bots)}, or {EVERY_BOT}.",))
        if name == "resume" and self._is_silent():
            return Page(
                title="Refused", blocks=("The daemon sends no heartbeat, so the state in which it starts is unknown. Start it first.",)
            )
        wish = _PendingCommand(command=name, bots=bots, code=self._new_code(), until=self._clock.wall_now() + LIFE)
        self._wishes[user] = wish
        rest = f"/{CONFIRM} {wish.code} within {LIFE.total_seconds():.0f} s executes it; any other message changes nothing."
        return Page(title=f"{name} {', '.join(bots)}?", blocks=(f"Then: {COMMANDS[name]}.", self._states(bots), rest))

    def _confirm(self, code: str, *, user: int) -> Page:
        # Remove the pending command first: a code may be tried only once, right or wrong.
        wish = self._wishes.pop(user, None)
        if wish is None or self._clock.wall_now() > wish.until or not secrets.compare_digest(code.encode(), wish.code.encode()):
            return Page(
                title="Refused",
                blocks=("You have no valid code: it was used, has expired, or belongs to another user. Send the command again.",),
            )
        if wish.command == "resume" and self._is_silent():
            return Page(title="Refused", blocks=("The daemon has stopped sending heartbeats: no command was sent.",))
        at = self._clock.wall_now()
        numbers = [
            self._control.send_command(bot=bot, command=wish.command, argument="", issued_by=f"telegram:{user}", at=at) for bot in wish.bots
        ]
        log.info("command_sent", command=wish.command, bots=wish.bots, user=user, numbers=numbers)
        silent = (
            "The daemon sends no heartbeat: it will take the command when it starts."
            if self._is_silent()
            else "The daemon takes the command within a second."
        )
        sent = f"Command {', '.join(str(number) for number in numbers)} is queued. {silent} An alert reports the new state."
        return Page(title=f"{wish.command} {', '.join(wish.bots)}: sent", blocks=(sent,))

    def _meant(self, arguments: Sequence[str]) -> tuple[str, ...]:
        if len(arguments) != 1:
            return ()
        named = arguments[0].upper()
        return self._bots if named == EVERY_BOT.upper() else tuple(bot for bot in self._bots if bot == named)

    def _is_silent(self) -> bool:
        return is_silent(daemon_beat(self._control.heartbeats()), wall_now=self._clock.wall_now())

    def _states(self, bots: Sequence[str]) -> str:
        found = {bot: state_in_force(self._control, bot, wall_now=self._clock.wall_now()) for bot in bots}
        return "\n".join(
            f"{bot} is {one.state.value if one.is_reported or one.is_latched else 'unknown'}" + (f": {one.reason}" if one.reason else "")
            for bot, one in found.items()
        )
