"""People write, and are answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """What somebody wrote, where and when (wall time); `user_id` is None where nobody is named as its writer."""

    chat_id: int
    user_id: int | None
    text: str = ""
    at: datetime


class Chat(Protocol):
    """One chat, and everybody else who writes to the same bot.

    Law: `messages` gives each message once, also over errors: it is given out by the call that returns it, and is gone at the next.
    Every method raises NotifierBusyError, NotifierRefusedError, MessageRefusedError, or AlreadyRunningError where another process listens.
    """

    def name(self) -> str:
        """Return the bot's name, by which it is spoken to in groups."""
        ...

    def skip_waiting(self) -> None:
        """Leave out what was written before: commands that nobody answered are old news."""
        ...

    def messages(self, *, wait_s: float) -> list[ChatMessage]:
        """Return what was written since the last call, from all chats; wait so long for the first."""
        ...

    def answer(self, html: str) -> None:
        """Write to the one chat, in Telegram's HTML, at most 4096 characters."""
        ...
