"""Pause, halt and resume, each asked for, shown, and confirmed by whoever asked; switched on by a setting."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore
from bot3.usecases.bot_state import daemon_beat, is_silent, state_in_force
from telegram_bot.page import Page

LIFE = timedelta(seconds=30)
"""A code is good for so long, once, and for whom it was made."""
EVERY_BOT = "all"
CONFIRM = "confirm"
COMMANDS: Mapping[str, str] = {
    "pause": "no entries; exits and stops go on",
    "halt": "nothing but cancels; stops that rest on the exchange stay",
    "resume": "entries again",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    command: str
    bots: tuple[str, ...]
    code: str
    until: datetime


def _new_code() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"


class Control:
    """Commands for the daemon, through the control store; what waits for a confirmation is forgotten at a restart."""

    def __init__(self, control: ControlStore, *, clock: Clock, bots: Sequence[str], new_code: Callable[[], str] = _new_code) -> None:
        self._control, self._clock, self._bots, self._new_code = control, clock, tuple(bots), new_code
        self._wishes: dict[int, _Wish] = {}

    def answer(self, name: str, arguments: Sequence[str], *, user: int) -> Page:
        """Return what becomes of a command. Raises StoreError if the control store cannot be asked."""
        if name == CONFIRM:
            return self._confirm(" ".join(arguments), user=user)
        bots = self._meant(arguments)
        if not bots:
            return Page(title=f"/{name} BOT", blocks=(f"BOT is one of {', '.join(self._bots)}, or {EVERY_BOT}.",))
        if name == "resume" and self._is_silent():
            return Page(title="Refused", blocks=("The daemon is silent: nobody would know what it finds when it starts. Start it first.",))
        wish = _Wish(command=name, bots=bots, code=self._new_code(), until=self._clock.wall_now() + LIFE)
        self._wishes[user] = wish
        rest = f"/{CONFIRM} {wish.code} within {LIFE.total_seconds():.0f} s does it; anything else changes nothing."
        return Page(title=f"{name} {', '.join(bots)}?", blocks=(f"Then: {COMMANDS[name]}.", self._states(bots), rest))

    def _confirm(self, code: str, *, user: int) -> Page:
        # Taken out first: a code is good once, right or wrong.
        wish = self._wishes.pop(user, None)
        if wish is None or self._clock.wall_now() > wish.until or not secrets.compare_digest(code.encode(), wish.code.encode()):
            return Page(title="Refused", blocks=("No such code is open for you: it was used, is older, or is another's. Ask anew.",))
        if wish.command == "resume" and self._is_silent():
            return Page(title="Refused", blocks=("The daemon fell silent meanwhile: nothing was sent.",))
        at = self._clock.wall_now()
        numbers = [
            self._control.send_command(bot=bot, command=wish.command, argument="", issued_by=f"telegram:{user}", at=at) for bot in wish.bots
        ]
        log.info("command_sent", command=wish.command, bots=wish.bots, user=user, numbers=numbers)
        silent = "The daemon is silent: it takes it when it starts." if self._is_silent() else "The daemon takes it within a second."
        sent = f"Command {', '.join(str(number) for number in numbers)} is queued. {silent} An alert tells the new state."
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
            f"{bot} is {one.state.value if one.is_told or one.is_latched else 'not told'}" + (f": {one.reason}" if one.reason else "")
            for bot, one in found.items()
        )
