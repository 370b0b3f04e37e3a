"""Notifications: messages that leave the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for a person, as plain text; the notifier that delivers it escapes it and applies its own limits.

    Parameters
    ----------
    title : str
        What happened, in one line.
    lines : tuple of str
        The reasons and the remedy; a message that is too long is cut at its end.
    is_silent : bool
        Whether it is delivered without a sound.
    """

    title: str
    lines: tuple[str, ...] = ()
    is_silent: bool = False


class Notifier(Protocol):
    """Delivers messages.

    Contract: `notify` returns once the server has confirmed the message. After NotifierBusyError it is unknown whether it was delivered: a
    caller that stores the message and retries may deliver it twice, but does not lose it. No error's text, cause or context contains a
    secret.
    """

    def notify(self, message: Message) -> None:
        """Deliver a message. Raises NotifierBusyError, NotifierRefusedError or MessageRefusedError."""
        ...
