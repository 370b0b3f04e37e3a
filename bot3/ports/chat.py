"""A chat in which people send messages and receive replies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message of a person, its chat and its wall time; `user_id` is None if the message names no sender."""

    chat_id: int
    user_id: int | None
    text: str = ""
    at: datetime


class Chat(Protocol):
    """One chat, and the messages of everybody else who writes to the same bot.

    Contract: `messages` returns each message once, also across errors: the call that returns it delivers it, and the next call discards
    it. Every method raises NotifierBusyError, NotifierRefusedError, MessageRefusedError, or AlreadyRunningError if another process listens.
    """

    def name(self) -> str:
        """Return the bot's name, by which people address it in groups."""
        ...

    def skip_waiting(self) -> None:
        """Skip the messages sent before this call: commands that were not answered are out of date."""
        ...

    def messages(self, *, wait_s: float) -> list[ChatMessage]:
        """Return the messages sent since the last call, from all chats; wait at most `wait_s` seconds for the first."""
        ...

    def answer(self, html: str) -> None:
        """Send a text to the one chat, in Telegram's HTML, at most 4096 characters."""
        ...
