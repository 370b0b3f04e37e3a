"""Telling people: a message leaves the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person is told, as plain text; whoever delivers it escapes it and keeps to its own limits.

    Parameters
    ----------
    title : str
        What happened, in one line.
    lines : tuple of str
        What it rests on and the remedy; the last ones are the first to be cut.
    is_silent : bool
        Delivered without a sound.
    """

    title: str
    lines: tuple[str, ...] = ()
    is_silent: bool = False


class Notifier(Protocol):
    """Delivers messages.

    Law: `notify` returns once the other side has said that it holds the message. NotifierBusyError leaves open whether it arrived: who
    keeps it and tries again may tell it twice, never not at all. No error's text, cause or context holds a secret.
    """

    def notify(self, message: Message) -> None:
        """Deliver a message. Raises NotifierBusyError, NotifierRefusedError or MessageRefusedError."""
        ...
