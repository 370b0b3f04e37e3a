"""Decide which messages are answered: those of the listed users in the configured chat."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from bot3.ports.chat import ChatMessage


class Access(StrEnum):
    """What to do with a received message."""

    ANSWER = "answer"
    REFUSE = "refuse"  # written in the configured chat by a user who is not listed: a group has other members
    IGNORE = "ignore"  # written in another chat: send no reply, so that strangers do not learn that the bot is active


def access_of(message: ChatMessage, *, chat_id: int, users: Collection[int]) -> Access:
    """Return ANSWER for a message of a listed user in the configured chat, REFUSE for another user there, IGNORE for another chat.

    With an empty list no user is answered.
    """
    if message.chat_id != chat_id:
        return Access.IGNORE
    return Access.ANSWER if message.user_id in users else Access.REFUSE


def command_of(text: str, *, bot_name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the name of a command such as "/profit 7" in lower case, without slash, and its arguments.

    None if the text is no command, or is addressed to another bot ("/profit@other").
    """
    words = text.split()
    if not words or not words[0].startswith("/"):
        return None
    name, _, addressee = words[0][1:].partition("@")
    if not name or (addressee and addressee.lower() != bot_name.lower()):
        return None
    return name.lower(), tuple(words[1:])
