"""Who is answered: listed users, in the one chat."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from bot3.ports.chat import ChatMessage


class Access(StrEnum):
    """What becomes of a message."""

    ANSWER = "answer"
    REFUSE = "refuse"  # in the chat, and not on the list: a group has other members
    IGNORE = "ignore"  # a stranger learns nothing, not even that somebody listens


def access_of(message: ChatMessage, *, chat_id: int, users: Collection[int]) -> Access:
    """Return what becomes of a message: both its chat and its writer must be known; an empty list is nobody."""
    if message.chat_id != chat_id:
        return Access.IGNORE
    return Access.ANSWER if message.user_id in users else Access.REFUSE


def command_of(text: str, *, bot_name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return a command's name in lower case and its arguments; None for what is no command, or one to another bot of the group."""
    words = text.split()
    if not words or not words[0].startswith("/"):
        return None
    name, _, addressee = words[0][1:].partition("@")
    if not name or (addressee and addressee.lower() != bot_name.lower()):
        return None
    return name.lower(), tuple(words[1:])
