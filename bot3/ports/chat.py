"""A chat in which people send messages and receive replies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message of a person; `at` is the wall time at which it was sent, `user_id` is None without a sender, `text` may be empty."""

    chat_id: int
    user_id: int | None
    text: str = ""
    at: datetime


class Chat(Protocol):
    """A messaging bot: sends to its one configured chat, and receives the messages of all chats in which it is written to.

    Contract: `messages` returns each message once. If a call fails, its messages are returned by a later call. Every method may raise
    NotifierBusyError, NotifierRefusedError, MessageRefusedError, or AlreadyRunningError if another process receives this bot's messages.
    """

    def name(self) -> str:
        """Return the messaging bot's user name, by which people address it in groups; empty if it has none."""
        ...

    def skip_waiting(self) -> None:
        """Skip the messages sent before this call: a command that was not executed at once must not be executed late."""
        ...

    def messages(self, *, wait_s: float) -> list[ChatMessage]:
        """Return the messages sent since the last call, from all chats; wait for the first one, at most `wait_s` wall seconds."""
        ...

    def answer(self, html: str) -> None:
        """Send a text to the configured chat, in Telegram's HTML, at most 4096 characters without its tags."""
        ...
